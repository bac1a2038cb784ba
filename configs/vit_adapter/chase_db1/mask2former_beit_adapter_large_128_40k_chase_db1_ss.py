_base_ = [
    '../_base_/models/mask2former_256_beit_adapter.py',
    '../_base_/datasets/chase_db1_128.py',
    '../_base_/schedules/adamw_beit_large.py',
    '../_base_/schedules/poly_40k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(128, 128)),
    backbone=dict(img_size=128),
    decode_head=dict(num_classes=2, num_queries=100, loss_cls=dict(class_weight=[1.0] * 2 + [0.1])),
    test_cfg=dict(crop_size=(128, 128), stride=(85, 85)))
default_hooks = dict(checkpoint=dict(save_best='mDice'))
