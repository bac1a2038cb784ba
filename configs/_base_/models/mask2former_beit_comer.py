_base_ = './mask2former_beit.py'
custom_imports = dict(imports=['vit_comer', 'shared_ops.openmmlab.mask2former'], allow_failed_imports=False)
model = dict(backbone=dict(type='ViTCoMer_beit'))
