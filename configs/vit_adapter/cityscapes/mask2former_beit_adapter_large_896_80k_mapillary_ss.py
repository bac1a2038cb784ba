_base_ = [
    '../_base_/models/mask2former_beit_adapter.py',
    '../_base_/datasets/mapillary_896.py',
    '../_base_/schedules/adamw_beit_large.py',
    '../_base_/schedules/poly_80k.py',
    '../_base_/default_runtime.py',
]
model = dict(decode_head=dict(num_classes=19, num_queries=100, loss_cls=dict(class_weight=[1.0] * 19 + [0.1])))
train_cfg = dict(val_interval=1000)
