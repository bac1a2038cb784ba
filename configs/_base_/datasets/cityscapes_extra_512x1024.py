# trains on the 20000 coarsely annotated pictures as well, with annotations that were refined
_base_ = './cityscapes_512x1024.py'
parts = [('train', 'gtFine/train'), ('train_extra', 'refinement_final/train_extra')]
train_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='ConcatDataset',
        datasets=[
            dict(
                type='CityscapesDataset',
                data_root='data/cityscapes/',
                data_prefix=dict(img_path=f'leftImg8bit/{images}', seg_map_path=annotations),
                pipeline=_base_.train_pipeline) for images, annotations in parts
        ]))
