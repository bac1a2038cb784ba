_base_ = './upernet_vit.py'
custom_imports = dict(imports=['vit_adapter'], allow_failed_imports=False)
# DeiT-B; the leaves say what differs
model = dict(backbone=dict(type='ViTAdapter'))
