_base_ = [
    '../_base_/models/upernet_internimage.py',
    '../_base_/datasets/ade20k.py',
    '../_base_/schedules/adamw_layer_decay.py',
    '../_base_/schedules/poly_160k.py',
    '../_base_/default_runtime.py',
]
data_root = 'data/ADEChallengeData2016'
optim_wrapper = dict(
    optimizer=dict(weight_decay=0.05),
    constructor='CustomLayerDecayOptimizerConstructor',
    paramwise_cfg=dict(num_layers=30, layer_decay_rate=1.0))
