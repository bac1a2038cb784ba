_base_ = './upernet_beit_adapter_large_480_80k_pascal_context_59_ss.py'
tta_pipeline = _base_.multi_scale_pipeline
test_cfg = dict(type='AugmentedTestLoop')
