_base_ = [
    '../_base_/models/mask2former_beit_adapter.py',
    '../_base_/datasets/ade20k_896.py',
    '../_base_/schedules/adamw_beit_large.py',
    '../_base_/schedules/poly_160k.py',
    '../_base_/default_runtime.py',
]
model = dict(pretrained='pretrained/beitv2_large_patch16_224_pt1k_ft21k.pth')
train_cfg = dict(val_interval=8000)
