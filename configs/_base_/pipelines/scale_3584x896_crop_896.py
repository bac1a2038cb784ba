_base_ = './scale_2048x512_crop_512.py'
crop_size = (896, 896)
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
train_pipeline[2].scale = test_pipeline[1].scale = (3584, 896)
train_pipeline[3].crop_size = crop_size
tta_pipeline, multi_scale_pipeline = _base_.tta_pipeline, _base_.multi_scale_pipeline
tta_pipeline[1].transforms[0] = [
    dict(type='Resize', scale=(int(3584 * ratio), int(896 * ratio)), keep_ratio=True)
    for ratio in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
]
# smaller views here, filled up with black to the crop
multi_scale_pipeline[1].transforms = [
    [dict(type='Resize', scale=(4 * short, short), keep_ratio=True) for short in (640, 768, 896)],
    [dict(type='ResizeToMultiple', size_divisor=32)],
    [dict(type='RandomFlip', prob=0.0, direction='horizontal'),
     dict(type='RandomFlip', prob=1.0, direction='horizontal')],
    [dict(type='PadShortSide', size=896)],
    [dict(type='LoadAnnotations')],
    # the default keys and the last, by which the filling is cut off again
    [dict(type='PackSegInputs', meta_keys=(
        'img_path', 'seg_map_path', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor', 'flip', 'flip_direction',
        'reduce_zero_label', 'padding_size'))],
]
