_base_ = './mask2former_internimage_h_896_80k_cocostuff2ade20k_ss.py'
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1].transforms[0] = [
    dict(type='Resize', scale=(4 * short, short), keep_ratio=True) for short in (768, 832, 896, 960, 1024)
]
test_cfg = dict(type='AugmentedTestLoop')
