# MMEngine's strategy over PyTorch's first FSDP; fully_shard.py does the same with FSDP2. Run with two processes on a
# CPU, for which a config says beside it:
#     strategy = dict(model_wrapper=dict(device_id='cpu'))
# It trained and saved; --resume fails in MMEngine 0.10 with current versions of PyTorch. On GPUs untested.
runner_type = 'FlexibleRunner'
strategy = dict(
    type='FSDPStrategy',
    model_wrapper=dict(
        type='MMFullyShardedDataParallel', use_orig_params=True, auto_wrap_policy='block_wrap_policy'),
    # one file with whole weights, under the names that they have without FSDP
    state_dict_cfg='full')
