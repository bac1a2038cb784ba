_base_ = './upernet_beit_large_512_160k_ade20k_ss.py'
tta_pipeline = _base_.multi_scale_pipeline
test_cfg = dict(type='AugmentedTestLoop')
