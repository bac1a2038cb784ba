_base_ = './poly_160k.py'
param_scheduler = _base_.param_scheduler
param_scheduler[1].end = 80001
train_cfg = dict(max_iters=80000, val_interval=8000)
