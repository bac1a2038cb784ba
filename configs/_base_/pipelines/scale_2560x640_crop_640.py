_base_ = './scale_2048x512_crop_512.py'
crop_size = (640, 640)
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[2].scale = test_pipeline[1].scale = (2560, 640)
train_pipeline[3].crop_size = crop_size
tta_pipeline, multi_scale_pipeline = _base_.tta_pipeline, _base_.multi_scale_pipeline
tta_pipeline[1].transforms[0] = [
    dict(type='Resize', scale=(int(2560 * ratio), int(640 * ratio)), keep_ratio=True)
    for ratio in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
]
multi_scale_pipeline[1].transforms[0] = [
    dict(type='SETR_Resize', scale=(int(2560 * ratio), int(640 * ratio)), crop_size=crop_size)
    for ratio in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
]
