_base_ = [
    '../_base_/models/mask2former_256_internimage_h.py',
    '../_base_/datasets/pascal_context_59_480.py',
    '../_base_/schedules/adamw_internimage_h.py',
    '../_base_/schedules/poly_40k.py',
    '../_base_/default_runtime.py',
]
model = dict(
    data_preprocessor=dict(size=(480, 480)),
    decode_head=dict(num_classes=59, loss_cls=dict(class_weight=[1.0] * 59 + [0.1])))
train_dataloader = dict(batch_size=1)
train_cfg = dict(val_interval=2000)
