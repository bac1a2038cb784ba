_base_ = './adamw_internimage.py'
optim_wrapper = dict(
    optimizer=dict(lr=2e-5),
    paramwise_cfg=dict(num_layers=37, layer_decay_rate=0.94),
    clip_grad=dict(max_norm=0.1, norm_type=2))
