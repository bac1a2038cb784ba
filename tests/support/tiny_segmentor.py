"""A segmentor of one convolution and a head, for what needs a model but no package."""

from pathlib import Path

import torch
from mmseg.registry import MODELS
from torch import nn

CLASSES = ('dark', 'grey', 'bright', 'other')
_TEXT = """\
default_scope = 'mmseg'
model = dict(
    type='CheckedEncoderDecoder',
    data_preprocessor=dict(type='SegDataPreProcessor', mean=[110] * 3, std=[60] * 3, bgr_to_rgb=True),
    backbone=dict(type='QuarterConvolution'),
    decode_head=dict(
        type='FCNHead', in_channels=8, in_index=0, channels=8, num_convs=1, num_classes={number},
        norm_cfg=dict(type='BN'), align_corners=False),
    train_cfg=dict(), test_cfg={test_cfg})
views = [[dict(type='Resize', scale_factor=factor, keep_ratio=True) for factor in (1.0, 1.5)],
         [dict(type='RandomFlip', prob=0.0, direction='horizontal'),
          dict(type='RandomFlip', prob=1.0, direction='horizontal')]]
test_pipeline = [
    dict(type='LoadImageFromFile'), dict(type='Resize', scale=(200, 50), keep_ratio=True),
    dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='TestTimeAug', transforms=[*views, [dict(type='LoadAnnotations')], [dict(type='PackSegInputs')]])]
tta_model = dict(type='{tta_model}')
test_dataloader = dict(dataset=dict(
    type='BaseSegDataset',
    metainfo=dict(classes={classes}, palette=[[index, 0, 255 - index] for index in range({number})])))
"""
WHOLE = "dict(mode='whole')"
SLIDE = "dict(mode='slide', crop_size=(32, 32), stride=(20, 20))"


@MODELS.register_module()
class QuarterConvolution(nn.Module):
    """Features at a quarter of the resolution."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(3, 8, kernel_size=7, stride=4, padding=3)

    def forward(self, pictures: torch.Tensor) -> list[torch.Tensor]:
        return [self.convolution(pictures).tanh()]


def write_segmentor(
    folder: Path, *, test_cfg: str = WHOLE, tta_model: str = 'RunningMeanTTAModel', classes: tuple[str, ...] = CLASSES
) -> tuple[Path, str]:
    """Write a config and a checkpoint of random weights; return their paths."""
    config = folder / 'segmentor.py'
    config.write_text(_TEXT.format(number=len(classes), classes=classes, test_cfg=test_cfg, tta_model=tta_model))

    from mmengine.config import Config
    from mmengine.registry import init_default_scope

    init_default_scope('mmseg')
    torch.manual_seed(0)
    checkpoint = folder / 'segmentor.pth'
    torch.save({'state_dict': MODELS.build(Config.fromfile(config).model).state_dict()}, checkpoint)
    return config, str(checkpoint)
