_base_ = './upernet_beit_adapter_large_512_80k_cocostuff10k_ss.py'
tta_pipeline = _base_.multi_scale_pipeline
test_cfg = dict(type='AugmentedTestLoop')
