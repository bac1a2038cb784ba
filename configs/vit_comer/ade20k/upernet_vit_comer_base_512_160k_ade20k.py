_base_ = [
    '../_base_/models/upernet_vit_comer.py',
    '../_base_/datasets/ade20k_512.py',
    '../_base_/schedules/adamw_layer_decay.py',
    '../_base_/schedules/poly_160k.py',
    '../_base_/default_runtime.py',
]
# 16 pictures a step: 8 GPUs x 2
model = dict(pretrained='pretrained/deit_base_patch16_224-b5f2ef4d.pth', backbone=dict(dim_ratio=1.0))
train_cfg = dict(val_interval=1600)
default_hooks = dict(checkpoint=dict(interval=1600))
