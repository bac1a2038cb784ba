# the leaves say where gradients are clipped
_base_ = './adamw_internimage.py'
optim_wrapper = dict(
    optimizer=dict(lr=2e-5),
    paramwise_cfg=dict(num_layers=50, layer_decay_rate=0.95))
