_base_ = [
    '../_base_/models/mask2former_beit_adapter.py',
    '../_base_/datasets/ade20k_896.py',
    '../_base_/schedules/adamw_beit_large.py',
    '../_base_/schedules/poly_80k.py',
    '../_base_/default_runtime.py',
]
load_from = 'pretrained/mask2former_beit_adapter_large_896_80k_cocostuff164k.pth.tar'
