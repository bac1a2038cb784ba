_base_ = './mask2former_beit_adapter_base_512_40k_cocostuff10k_ss.py'
tta_pipeline = _base_.multi_scale_pipeline
test_cfg = dict(type='AugmentedTestLoop')
