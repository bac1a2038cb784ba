_base_ = [
    '../_base_/models/upernet_beit_adapter.py',
    '../_base_/datasets/pascal_context_59_480.py',
    '../_base_/schedules/adamw_beit_large.py',
    '../_base_/schedules/poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(480, 480)),
    backbone=dict(img_size=480),
    decode_head=dict(num_classes=59),
    auxiliary_head=dict(num_classes=59),
    test_cfg=dict(crop_size=(480, 480), stride=(320, 320)))
