_base_ = './mask2former_beit.py'
custom_imports = dict(imports=['vit_adapter', 'shared_ops.openmmlab.mask2former'], allow_failed_imports=False)
model = dict(backbone=dict(type='BEiTAdapter'))
