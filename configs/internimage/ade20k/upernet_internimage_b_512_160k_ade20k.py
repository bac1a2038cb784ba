_base_ = [
    '../_base_/models/upernet_internimage_b.py',
    '../_base_/datasets/internimage_ade20k_512.py',
    '../_base_/schedules/adamw_internimage_s.py',
    '../_base_/schedules/poly_160k.py',
    '../_base_/default_runtime.py',
]
