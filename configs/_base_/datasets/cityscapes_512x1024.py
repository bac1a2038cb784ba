_base_ = './cityscapes_896.py'
crop_size = (512, 1024)
train_pipeline = _base_.train_pipeline
train_pipeline[3].crop_size = crop_size
train_dataloader = dict(batch_size=2, dataset=dict(pipeline=train_pipeline))
