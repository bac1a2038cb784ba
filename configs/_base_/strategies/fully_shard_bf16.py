# fully_shard.py, computing in bfloat16; weights, sums of gradients, batch norms and the optimizer stay in float32.
runner_type = 'FlexibleRunner'
strategy = dict(type='FullyShardStrategy', param_dtype='bfloat16')
