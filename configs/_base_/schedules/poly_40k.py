_base_ = './poly_160k.py'
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = 40001
train_cfg = dict(max_iters=40000, val_interval=4000)
