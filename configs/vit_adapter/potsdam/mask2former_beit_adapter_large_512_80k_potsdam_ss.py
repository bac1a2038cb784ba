_base_ = [
    '../_base_/models/mask2former_256_beit_adapter.py',
    '../_base_/datasets/potsdam_512.py',
    '../_base_/schedules/adamw_beit_large.py',
    '../_base_/schedules/poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(img_size=512),
    decode_head=dict(num_classes=6, num_queries=100, loss_cls=dict(class_weight=[1.0] * 6 + [0.1])),
    test_cfg=dict(crop_size=(512, 512), stride=(341, 341)))
