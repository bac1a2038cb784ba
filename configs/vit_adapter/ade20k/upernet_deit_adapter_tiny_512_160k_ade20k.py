_base_ = './upernet_deit_adapter_base_512_160k_ade20k.py'
model = dict(
    pretrained='pretrained/deit_tiny_patch16_224-a1311bcf.pth',
    backbone=dict(embed_dim=192, num_heads=3, drop_path_rate=0.1, deform_num_heads=6, deform_ratio=1.0),
    decode_head=dict(in_channels=[192, 192, 192, 192]),
    auxiliary_head=dict(in_channels=192))
optim_wrapper = dict(optimizer=dict(lr=12e-5))
