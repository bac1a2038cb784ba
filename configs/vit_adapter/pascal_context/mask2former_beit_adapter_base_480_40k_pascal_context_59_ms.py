_base_ = './mask2former_beit_adapter_base_480_40k_pascal_context_59_ss.py'
tta_pipeline = _base_.multi_scale_pipeline
test_cfg = dict(type='AugmentedTestLoop')
