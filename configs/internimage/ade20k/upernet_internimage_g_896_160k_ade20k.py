_base_ = [
    '../_base_/models/upernet_internimage_g.py',
    '../_base_/datasets/internimage_ade20k_896.py',
    '../_base_/schedules/adamw_internimage_h.py',
    '../_base_/schedules/poly_160k.py',
    '../_base_/default_runtime.py',
]
model = dict(data_preprocessor=dict(size=(896, 896)))
optim_wrapper = dict(paramwise_cfg=dict(num_layers=56), clip_grad=dict(max_norm=0.1, norm_type=2))
