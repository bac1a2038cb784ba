_base_ = [
    '../_base_/models/segformer_internimage_l.py',
    '../_base_/datasets/mapillary_512x1024.py',
    '../_base_/schedules/adamw_internimage_l.py',
    '../_base_/schedules/poly_80k.py',
    '../_base_/default_runtime.py',
]
# 150 classes, as in the published checkpoints; Cityscapes has 19 of them
model = dict(data_preprocessor=dict(size=(512, 1024)))
