_base_ = './mask2former_beit_adapter_large_896_80k_cityscapes_ss.py'
load_from = None
tta_pipeline = _base_.multi_scale_pipeline
test_cfg = dict(type='AugmentedTestLoop')
