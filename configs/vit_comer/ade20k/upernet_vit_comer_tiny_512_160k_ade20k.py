_base_ = [
    '../_base_/models/upernet_vit_comer.py',
    '../_base_/datasets/ade20k_512.py',
    '../_base_/schedules/adamw_layer_decay.py',
    '../_base_/schedules/poly_160k.py',
    '../_base_/default_runtime.py',
]
# 16 pictures a step: 8 GPUs x 2
model = dict(
    pretrained='pretrained/deit_tiny_patch16_224-a1311bcf.pth',
    backbone=dict(embed_dim=192, num_heads=3, drop_path_rate=0.1, deform_num_heads=6, deform_ratio=1.0),
    decode_head=dict(in_channels=[192, 192, 192, 192]),
    auxiliary_head=dict(in_channels=192))
optim_wrapper = dict(optimizer=dict(lr=12e-5))
default_hooks = dict(checkpoint=dict(max_keep_ckpts=3))
