_base_ = [
    '../_base_/models/mask2former_internimage_h.py',
    '../_base_/datasets/internimage_ade20k_896.py',
    '../_base_/schedules/adamw_internimage_h.py',
    '../_base_/schedules/poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(backbone=dict(init_cfg=None))
optim_wrapper = dict(optimizer=dict(lr=1e-5), clip_grad=dict(max_norm=0.1, norm_type=2))
train_cfg = dict(val_interval=2000)
load_from = 'https://huggingface.co/OpenGVLab/InternImage/resolve/main/mask2former_internimage_h_896_80k_cocostuff164k.pth'
