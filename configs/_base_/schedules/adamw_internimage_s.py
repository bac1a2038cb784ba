# S and B
_base_ = './adamw_internimage.py'
optim_wrapper = dict(paramwise_cfg=dict(num_layers=33))
