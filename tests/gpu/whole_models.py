"""The whole models that are checked: published configs by name, with weights that any machine can draw again."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from support.reference import build
from support.synthetic import synthetic_image, synthetic_labels, synthetic_state_dict

BATCH = 2
# (height, width): a crop as in training but not square, and what the CPU of a dry run is done with in seconds.
SIZES = {'cuda': (384, 512), 'cpu': (32, 64)}
# Nothing random, so that devices can be compared.
STILL = {'model.pretrained': None, 'model.backbone.drop_path_rate': 0.0}
STILL_UPERNET = {**STILL, 'model.decode_head.dropout_ratio': 0.0, 'model.auxiliary_head.dropout_ratio': 0.0}
_TINY_VIT = {
    'model.backbone.embed_dim': 48, 'model.backbone.depth': 4, 'model.backbone.num_heads': 3,
    'model.backbone.deform_num_heads': 3, 'model.backbone.conv_inplane': 16,
    'model.backbone.interaction_indexes': [[0, 0], [1, 1], [2, 2], [3, 3]],
    'model.decode_head.in_channels': [48] * 4,
}  # fmt: skip
_TINY_UPERNET = {'model.decode_head.channels': 16, 'model.auxiliary_head.channels': 16}
_ENCODER = 'model.decode_head.pixel_decoder.encoder'
_DECODER = 'model.decode_head.transformer_decoder'


@dataclass(frozen=True)
class WholeModel:
    """A published model.

    Attributes:
        package: that has it.
        config: its name, from the package's configs.
        parameters: whose gradients are compared: the first layers, sampling and values of the operators, the last.
        still: settings without which the model draws random numbers of its own.
        tiny: settings for a dry run.
    """

    package: str
    config: str
    parameters: tuple[str, ...]
    still: dict[str, object]
    tiny: dict[str, object]

    def load(self, device: str) -> tuple[nn.Module, int]:
        """Return the model on the CPU with synthetic weights, and its number of classes.

        Args:
            device: for which type of device it is; a CPU gets a tiny one.
        """
        config = Config.fromfile(importlib.import_module(self.package).CONFIG_DIR / self.config)
        config.merge_from_dict({**self.still, **(self.tiny if device == 'cpu' else {})})
        model = revert_sync_batchnorm(build(config))
        weights = synthetic_state_dict([(key, value.shape) for key, value in model.state_dict().items()])
        model.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()})
        return model, config.model.decode_head.num_classes


WHOLE_MODELS = {
    'vit_adapter': WholeModel(
        'vit_adapter',
        'ade20k/upernet_deit_adapter_tiny_512_160k_ade20k.py',
        (
            'backbone.patch_embed.proj.weight',
            'backbone.interactions.0.injector.attn.sampling_offsets.weight',
            'backbone.interactions.3.extractor.attn.value_proj.weight',
            'decode_head.conv_seg.weight',
        ),
        STILL_UPERNET,
        {**_TINY_VIT, **_TINY_UPERNET, 'model.auxiliary_head.in_channels': 48},
    ),
    'vit_comer': WholeModel(
        'vit_comer',
        'ade20k/upernet_vit_comer_tiny_512_160k_ade20k.py',
        (
            'backbone.patch_embed.proj.weight',
            'backbone.interactions.0.cti_tov.attn.sampling_offsets.weight',
            'backbone.interactions.3.cti_toc.cfinter.attn.value_proj.weight',
            'decode_head.conv_seg.weight',
        ),
        STILL_UPERNET,
        {**_TINY_VIT, **_TINY_UPERNET, 'model.auxiliary_head.in_channels': 48},
    ),
    'internimage': WholeModel(
        'internimage',
        'ade20k/upernet_internimage_t_512_160k_ade20k.py',
        (
            'backbone.patch_embed.conv1.weight',
            'backbone.levels.0.blocks.0.dcn.offset.weight',
            'backbone.levels.3.blocks.0.dcn.input_proj.weight',
            'decode_head.conv_seg.weight',
        ),
        {**STILL_UPERNET, 'model.backbone.init_cfg': None},
        {
            **_TINY_UPERNET, 'model.backbone.channels': 16, 'model.backbone.depths': [1, 1, 2, 1],
            'model.backbone.groups': [1, 2, 4, 8], 'model.decode_head.in_channels': [16, 32, 64, 128],
            'model.auxiliary_head.in_channels': 64,
        },
    ),
    'mask2former': WholeModel(
        'vit_adapter',
        'coco_stuff10k/mask2former_beit_adapter_base_512_40k_cocostuff10k_ss.py',
        (
            'backbone.patch_embed.proj.weight',
            'backbone.interactions.0.injector.attn.sampling_offsets.weight',
            'decode_head.pixel_decoder.encoder.layers.0.self_attn.sampling_offsets.weight',
            'decode_head.cls_embed.weight',
        ),
        STILL,
        {
            **_TINY_VIT, f'{_ENCODER}.num_layers': 2, f'{_DECODER}.num_layers': 2, 'model.train_cfg.num_points': 256,
        },
    ),
}  # fmt: skip


def draw(device: str, classes: int) -> tuple[Tensor, list[SegDataSample]]:
    """Return normalized images and their labels, on the CPU."""
    height, width = SIZES[device]
    images = torch.from_numpy(synthetic_image(1, height, width, batch=BATCH))
    samples = []
    for labels in torch.from_numpy(synthetic_labels(2, height, width, classes, batch=BATCH)):
        samples.append(SegDataSample(gt_sem_seg=PixelData(data=labels[None]), metainfo={'img_shape': (height, width)}))
    return images, samples
