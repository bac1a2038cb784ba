_base_ = './adamw_internimage_l.py'
optim_wrapper = dict(paramwise_cfg=dict(num_layers=39))
