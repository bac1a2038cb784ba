_base_ = './scale_2048x512_crop_512.py'
crop_size = (480, 480)
train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline
# trained at 2048 x 512
train_pipeline[3].crop_size = crop_size
test_pipeline[1].scale = (640, 480)
tta_pipeline = _base_.tta_pipeline
tta_pipeline[1].transforms[0] = [
    dict(type='Resize', scale=(int(640 * ratio), int(480 * ratio)), keep_ratio=True)
    for ratio in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)
]
