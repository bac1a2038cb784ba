# where InternImage's configs look for it, and larger than ViT-Adapter's
_base_ = ['./ade20k.py', '../pipelines/scale_2560x640_crop_640.py']
data_root = 'data/ADEChallengeData2016'
train_dataloader = dict(dataset=dict(data_root=data_root, pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
