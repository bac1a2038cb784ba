# DeepSpeed through MMEngine's strategy: weights are divided too. What deepspeed_zero2.py says holds here as well.
runner_type = 'FlexibleRunner'
strategy = dict(
    type='DeepSpeedStrategy', zero_optimization=dict(stage=3, stage3_gather_16bit_weights_on_model_save=True))
