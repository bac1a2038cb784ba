_base_ = [
    '../_base_/models/upernet_beit_adapter.py',
    '../_base_/datasets/coco_stuff10k_512.py',
    '../_base_/schedules/adamw_beit_large.py',
    '../_base_/schedules/poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(img_size=512),
    decode_head=dict(num_classes=171),
    auxiliary_head=dict(num_classes=171),
    test_cfg=dict(crop_size=(512, 512), stride=(341, 341)))
