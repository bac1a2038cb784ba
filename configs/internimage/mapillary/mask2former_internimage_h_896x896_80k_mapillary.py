_base_ = [
    '../_base_/models/mask2former_256_internimage_h.py',
    '../_base_/datasets/mapillary_896.py',
    '../_base_/schedules/adamw_internimage_h.py',
    '../_base_/schedules/poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    decode_head=dict(num_classes=19, loss_cls=dict(class_weight=[1.0] * 19 + [0.1])),
    test_cfg=dict(mode='slide', crop_size=(896, 896), stride=(512, 512)))
train_dataloader = dict(batch_size=2)
optim_wrapper = dict(clip_grad=dict(max_norm=0.1, norm_type=2))
train_cfg = dict(val_interval=2000)
