_base_ = ['./ade20k.py', '../pipelines/scale_3584x896_crop_896.py']
train_dataloader = dict(batch_size=1, dataset=dict(pipeline=_base_.train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=_base_.test_pipeline))
test_dataloader = val_dataloader
