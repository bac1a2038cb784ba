_base_ = './mask2former_beit_adapter_large_896_80k_ade20k_ss.py'
model = dict(pretrained='pretrained/beitv2_large_patch16_224_pt1k_ft21k.pth')
load_from = 'pretrained/mask2former_beitv2_adapter_large_896_80k_cocostuff164k.pth'
# "ss" is one scale, but its mirror image too
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1].transforms[0] = [dict(type='Resize', scale=(3584, 896), keep_ratio=True)]
test_cfg = dict(type='AugmentedTestLoop')
