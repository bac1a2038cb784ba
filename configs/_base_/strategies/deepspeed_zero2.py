# DeepSpeed through MMEngine's strategy: gradients and optimizer states are divided. MMEngine needs
# `pip install "deepspeed<0.19"`. Not run to the end: with DeepSpeed 0.18.9 and PyTorch 2.15 on CPUs, forward and
# backward pass, and DeepSpeed's own step stops; on GPUs untested.
# A config with this base says beside it, since two bases may not set the same thing:
#     optim_wrapper = dict(type='DeepSpeedOptimWrapper')
# and where it clips gradients (clip_grad), it writes its optim_wrapper anew without that, as DeepSpeed clips by itself:
#     strategy = dict(gradient_clipping=0.01)
runner_type = 'FlexibleRunner'
strategy = dict(type='DeepSpeedStrategy', zero_optimization=dict(stage=2))
