# trains on Mapillary Vistas, both of its parts, with Cityscapes' classes; tests on Cityscapes
_base_ = './cityscapes_896.py'
data_root = 'data/Mapillary/'
train_pipeline = _base_.train_pipeline
train_pipeline.insert(2, dict(type='MapillaryHack'))
test_pipeline = _base_.test_pipeline
test_pipeline.insert(2, dict(type='ResizeToMultiple', size_divisor=32))
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1].transforms.insert(1, [dict(type='ResizeToMultiple', size_divisor=32)])
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type='MapillaryDataset',
                data_root=data_root,
                data_prefix=dict(img_path=f'{part}/images', seg_map_path=f'{part}/labels'),
                pipeline=train_pipeline) for part in ('training', 'validation')
        ]))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
