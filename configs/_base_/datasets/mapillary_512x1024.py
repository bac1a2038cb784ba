_base_ = './mapillary_896.py'
crop_size = (512, 1024)
datasets = _base_.train_dataloader.dataset.datasets
datasets[0].pipeline[3].ratio_range = datasets[1].pipeline[3].ratio_range = (0.5, 1.0)
datasets[0].pipeline[4].crop_size = datasets[1].pipeline[4].crop_size = crop_size
train_dataloader = dict(batch_size=2, dataset=dict(datasets=datasets))
test_pipeline, tta_pipeline = _base_.test_pipeline, _base_.tta_pipeline
del test_pipeline[2], tta_pipeline[1].transforms[1]  # stretching to multiples of 32 pixels
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
