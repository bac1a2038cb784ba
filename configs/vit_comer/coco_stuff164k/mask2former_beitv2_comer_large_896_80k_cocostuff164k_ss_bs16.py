_base_ = [
    '../_base_/models/mask2former_beit_comer.py',
    '../_base_/datasets/coco_stuff164k_896.py',
    '../_base_/schedules/adamw_beit_large.py',
    '../_base_/schedules/poly_80k.py',
    '../_base_/default_runtime.py',
]
# 16 pictures a step: 8 GPUs x 2
model = dict(
    pretrained='pretrained/beitv2_large_patch16_224_pt1k_ft21k.pth',
    decode_head=dict(num_classes=171, loss_cls=dict(class_weight=[1.0] * 171 + [0.1])))
train_dataloader = dict(batch_size=2)
train_cfg = dict(val_interval=4000)
