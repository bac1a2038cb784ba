_base_ = [
    '../_base_/models/mask2former_beit_adapter.py',
    '../_base_/datasets/pascal_context_59_480.py',
    '../_base_/schedules/adamw_beit_large.py',
    '../_base_/schedules/poly_40k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(480, 480)),
    backbone=dict(img_size=480),
    decode_head=dict(num_classes=59, num_queries=100, loss_cls=dict(class_weight=[1.0] * 59 + [0.1])),
    test_cfg=dict(crop_size=(480, 480), stride=(320, 320)))
