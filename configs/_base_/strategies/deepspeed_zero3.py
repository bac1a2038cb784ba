# DeepSpeed through MMEngine's strategy: weights are divided too. What deepspeed_zero2.py says of DeepSpeed's
# version, optim_wrapper and clip_grad holds here as well. Run with two processes on a CPU; on GPUs untested.
runner_type = 'FlexibleRunner'
strategy = dict(
    type='DeepSpeedStrategy', zero_optimization=dict(stage=3, stage3_gather_16bit_weights_on_model_save=True))
