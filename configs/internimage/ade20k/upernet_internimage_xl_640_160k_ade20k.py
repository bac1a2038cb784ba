_base_ = [
    '../_base_/models/upernet_internimage_xl.py',
    '../_base_/datasets/internimage_ade20k_640.py',
    '../_base_/schedules/adamw_internimage_xl.py',
    '../_base_/schedules/poly_160k.py',
    '../_base_/default_runtime.py',
]
model = dict(data_preprocessor=dict(size=(640, 640)))
