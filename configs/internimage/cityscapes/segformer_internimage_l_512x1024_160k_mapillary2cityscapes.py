_base_ = [
    '../_base_/models/segformer_internimage_l.py',
    '../_base_/datasets/cityscapes_extra_512x1024.py',
    '../_base_/schedules/adamw_internimage_l.py',
    '../_base_/schedules/poly_160k.py',
    '../_base_/default_runtime.py',
]
# 150 classes, as in the published checkpoints; Cityscapes has 19 of them
model = dict(data_preprocessor=dict(size=(512, 1024)), backbone=dict(init_cfg=None))
train_cfg = dict(val_interval=4000)
load_from = 'https://huggingface.co/OpenGVLab/InternImage/resolve/main/segformer_internimage_l_512x1024_80k_mapillary.pth'
