_base_ = [
    '../_base_/models/upernet_beit_adapter.py',
    '../_base_/datasets/ade20k_640.py',
    '../_base_/schedules/adamw_beit_large.py',
    '../_base_/schedules/poly_160k.py',
    '../_base_/default_runtime.py',
]
