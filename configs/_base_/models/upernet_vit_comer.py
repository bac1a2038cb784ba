_base_ = './upernet_vit.py'
custom_imports = dict(imports=['vit_comer'], allow_failed_imports=False)
# DeiT-B but for dim_ratio; the leaves say what differs
model = dict(backbone=dict(type='ViTCoMer'))
