_base_ = './mask2former_beitv2_adapter_large_896_80k_ade20k_ss.py'
# smaller views are filled up after the normalization, and so with the mean colour
model = dict(data_preprocessor=dict(test_cfg=dict(size=(896, 896))))
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1].transforms[0] = [
    dict(type='Resize', scale=(4 * short, short), keep_ratio=True) for short in (800, 832, 864, 896)
]
