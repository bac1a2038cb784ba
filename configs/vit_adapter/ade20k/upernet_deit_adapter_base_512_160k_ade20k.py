_base_ = [
    '../_base_/models/upernet_vit_adapter.py',
    '../_base_/datasets/ade20k_512.py',
    '../_base_/schedules/adamw_layer_decay.py',
    '../_base_/schedules/poly_160k.py',
    '../_base_/default_runtime.py',
]
# 16 pictures a step: 8 GPUs x 2
model = dict(pretrained='pretrained/deit_base_patch16_224-b5f2ef4d.pth')
