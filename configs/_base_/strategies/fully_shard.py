# PyTorch's FSDP2: weights, gradients and optimizer states are divided among the processes, on GPUs or CPUs.
# Tested with two processes on a CPU; on GPUs untested.
runner_type = 'FlexibleRunner'
strategy = dict(type='FullyShardStrategy')
