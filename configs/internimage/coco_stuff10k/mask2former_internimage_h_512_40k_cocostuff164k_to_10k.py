_base_ = [
    '../_base_/models/mask2former_internimage_h.py',
    '../_base_/datasets/coco_stuff10k_512.py',
    '../_base_/schedules/adamw_internimage_h.py',
    '../_base_/schedules/poly_40k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(512, 512)),
    backbone=dict(init_cfg=None),
    decode_head=dict(num_classes=171, loss_cls=dict(class_weight=[1.0] * 171 + [0.1])))
train_dataloader = dict(batch_size=1)
optim_wrapper = dict(optimizer=dict(lr=1e-5))
train_cfg = dict(val_interval=2000)
load_from = 'https://huggingface.co/OpenGVLab/InternImage/resolve/main/mask2former_internimage_h_896_80k_cocostuff164k.pth'
