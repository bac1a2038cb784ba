_base_ = [
    '../_base_/models/mask2former_beit_adapter.py',
    '../_base_/datasets/ade20k_640.py',
    '../_base_/schedules/adamw_beit_large.py',
    '../_base_/schedules/poly_160k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(640, 640)),
    backbone=dict(img_size=640),
    decode_head=dict(num_queries=100),
    test_cfg=dict(crop_size=(640, 640), stride=(426, 426)))
