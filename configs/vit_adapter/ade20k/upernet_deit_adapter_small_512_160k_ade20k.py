_base_ = './upernet_deit_adapter_base_512_160k_ade20k.py'
model = dict(
    pretrained='pretrained/deit_small_patch16_224-cd65a155.pth',
    backbone=dict(embed_dim=384, num_heads=6, drop_path_rate=0.2, deform_num_heads=6, deform_ratio=1.0),
    decode_head=dict(in_channels=[384, 384, 384, 384]),
    auxiliary_head=dict(in_channels=384))
