_base_ = [
    '../_base_/models/upernet_beit_adapter.py',
    '../_base_/datasets/coco_stuff164k_640.py',
    '../_base_/schedules/adamw_beit_large.py',
    '../_base_/schedules/poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes=171), auxiliary_head=dict(num_classes=171))
