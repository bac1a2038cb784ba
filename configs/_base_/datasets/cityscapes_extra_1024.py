_base_ = './cityscapes_extra_512x1024.py'
crop_size = (1024, 1024)
datasets = _base_.train_dataloader.dataset.datasets
datasets[0].pipeline[3].crop_size = datasets[1].pipeline[3].crop_size = crop_size
train_dataloader = dict(dataset=dict(datasets=datasets))
test_pipeline, tta_pipeline = _base_.test_pipeline, _base_.tta_pipeline
test_pipeline.insert(2, dict(type='ResizeToMultiple', size_divisor=32))
tta_pipeline[1].transforms.insert(1, [dict(type='ResizeToMultiple', size_divisor=32)])
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
