# MMEngine's strategy over PyTorch's first FSDP, which needs GPUs. Not run here: no GPU was at hand.
# fully_shard.py does the same with FSDP2 and was run.
runner_type = 'FlexibleRunner'
strategy = dict(
    type='FSDPStrategy',
    model_wrapper=dict(
        type='MMFullyShardedDataParallel', use_orig_params=True, auto_wrap_policy='block_wrap_policy'),
    # one file with whole weights, under the names that they have without FSDP
    state_dict_cfg='full')
