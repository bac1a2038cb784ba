_base_ = [
    '../_base_/models/mask2former_internimage_h.py',
    '../_base_/datasets/coco_stuff164k_896.py',
    '../_base_/schedules/adamw_internimage_h.py',
    '../_base_/schedules/poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes=171, loss_cls=dict(class_weight=[1.0] * 171 + [0.1])))
