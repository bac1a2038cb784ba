_base_ = './mask2former_beit_adapter_large_896_80k_cocostuff164k_ss.py'
model = dict(pretrained='pretrained/beitv2_large_patch16_224_pt1k_ft21k.pth')
