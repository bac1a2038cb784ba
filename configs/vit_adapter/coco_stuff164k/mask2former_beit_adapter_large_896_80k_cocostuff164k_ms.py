_base_ = './mask2former_beit_adapter_large_896_80k_cocostuff164k_ss.py'
tta_pipeline = _base_.multi_scale_pipeline
test_cfg = dict(type='AugmentedTestLoop')
