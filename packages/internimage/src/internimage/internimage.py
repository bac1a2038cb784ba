"""InternImage (https://arxiv.org/abs/2211.05778).

Original: segmentation/mmseg_custom/models/backbones/intern_image.py.

Shape notation: N batch, C channels of the first stage, h and w rows and columns of the image.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from mmseg.registry import MODELS
from torch import Tensor, nn

from shared_ops import DCNv3
from shared_ops.dcnv3_module import ACTIVATIONS
from shared_ops.errors import InputError
from shared_ops.openmmlab.pretrained import copy_pretrained
from shared_ops.vit import check_image

from .layers import Downsample, Stem
from .pretrained import read_weights
from .stage import Block, Stage


@MODELS.register_module()
class InternImage(nn.Module):
    """Four stages of deformable convolutions that give a pyramid of strides 4, 8, 16 and 32.

    Arguments and state-dict keys are the original's. The published sizes differ in where they normalize: T, S, B, L
    and XL have ``layer_scale``, S to XL and G ``post_norm``, H ``res_post_norm``, H and G ``level2_post_norm``,
    ``center_feature_scale`` and ``dw_kernel_size=5``.

    Args:
        core_op: ``'DCNv3'``.
        channels: C, an even number; every stage has twice the channels of the one before.
        depths: number of blocks of every stage.
        groups: groups of the deformable convolutions of every stage; they divide its channels.
        mlp_ratio: hidden channels of the MLPs, as a multiple of the stage's channels.
        drop_rate: dropout after the stem and in the MLPs.
        drop_path_rate: stochastic depth.
        drop_path_type: ``'linear'``: it grows to this rate over all blocks; ``'uniform'``: it is this rate in each.
        act_layer: ``'GELU'``, ``'ReLU'`` or ``'SiLU'``.
        norm_layer: ``'LN'`` or ``'BN'``, in the stem, the downsampling and the deformable convolutions; all other
            norms are layer norms.
        layer_scale: where the scales of the branches' channels start; None for no scales.
        offset_scale: factor of the deformable kernels, around their centres, and of their offsets.
        post_norm: normalize what the branches of a block give, instead of what they get.
        with_cp: recompute the blocks' activations in the backward instead of keeping them.
        dw_kernel_size: rows and columns of the depthwise convolutions that predict the offsets; None for 3.
        level2_post_norm: normalize between blocks of the third stage.
        level2_post_norm_block_ids: after which of its blocks, from 0.
        res_post_norm: normalize what the branches of a block give, as well as what they get.
        center_feature_scale: mix the input of the deformable convolutions into their result.
        out_indices: the stages that are returned, from 0.
        frozen_stages: how many stages, from the first, do not learn; the stem always does.
        init_cfg: ``dict(type='Pretrained', checkpoint=...)``, a file or an address that :meth:`init_weights` loads;
            nothing is read while building. None to keep the initial values.

    Raises:
        ValueError: arguments that do not fit each other.

    Example:
        >>> import torch
        >>> backbone = InternImage(channels=16, depths=[1, 1, 1, 1], groups=[1, 2, 4, 8])
        >>> [tuple(feature.shape) for feature in backbone(torch.rand(1, 3, 50, 66))]
        [(1, 16, 13, 17), (1, 32, 7, 9), (1, 64, 4, 5), (1, 128, 2, 3)]
    """

    def __init__(
        self,
        *,
        core_op: str = 'DCNv3',
        channels: int = 64,
        depths: Sequence[int] = (3, 4, 18, 5),
        groups: Sequence[int] = (3, 6, 12, 24),
        mlp_ratio: float = 4.0,
        drop_rate: float = 0.0,
        drop_path_rate: float = 0.2,
        drop_path_type: str = 'linear',
        act_layer: str = 'GELU',
        norm_layer: str = 'LN',
        layer_scale: float | None = None,
        offset_scale: float = 1.0,
        post_norm: bool = False,
        with_cp: bool = False,
        dw_kernel_size: int | None = None,
        level2_post_norm: bool = False,
        level2_post_norm_block_ids: Sequence[int] | None = None,
        res_post_norm: bool = False,
        center_feature_scale: bool = False,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        init_cfg: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        for name, choice, choices in (
            ('core_op', core_op, ('DCNv3',)),
            ('act_layer', act_layer, tuple(ACTIVATIONS)),
            ('norm_layer', norm_layer, ('LN', 'BN')),
            ('drop_path_type', drop_path_type, ('linear', 'uniform')),
        ):
            if choice not in choices:
                raise InputError(f'{name} must be one of {", ".join(choices)}, not {choice!r}')
        if len(groups) != len(depths):
            raise InputError(
                f'groups has {len(groups)} entries and depths has {len(depths)}; both need one for every stage'
            )
        if channels < 2 or channels % 2:
            raise InputError(f'channels must be even, as the stem starts with half of them, not {channels}')
        if not set(out_indices) <= set(range(len(depths))):
            raise InputError(f'out_indices={tuple(out_indices)} must be stages from 0 to {len(depths) - 1}')
        if init_cfg is not None and (init_cfg.get('type') != 'Pretrained' or 'checkpoint' not in init_cfg):
            raise InputError(f"init_cfg must be None or dict(type='Pretrained', checkpoint=...), not {dict(init_cfg)}")
        self.depths = tuple(depths)
        self.out_indices = tuple(out_indices)
        self.frozen_stages = frozen_stages
        self.init_cfg = init_cfg

        self.patch_embed = Stem(3, channels, act_layer, norm_layer)
        self.pos_drop = nn.Dropout(drop_rate)
        rates = iter(drop_path_rates(drop_path_rate, drop_path_type, sum(depths)))
        block_ids = level2_block_ids(level2_post_norm, level2_post_norm_block_ids, depths)
        self.levels = nn.ModuleList()
        for index, (depth, group) in enumerate(zip(depths, groups)):
            width = channels * 2**index
            blocks = [
                Block(
                    width,
                    group,
                    mlp_ratio=mlp_ratio,
                    drop=drop_rate,
                    drop_path=next(rates),
                    act_layer=act_layer,
                    norm_layer=norm_layer,
                    post_norm=post_norm,
                    layer_scale=layer_scale,
                    offset_scale=offset_scale,
                    with_cp=with_cp,
                    dw_kernel_size=dw_kernel_size,
                    res_post_norm=res_post_norm,
                    center_feature_scale=center_feature_scale,
                )
                for _ in range(depth)
            ]
            stage = Stage(
                blocks,
                channels=width,
                final_norm=not post_norm or center_feature_scale,
                post_norm_block_ids=block_ids if index == 2 else (),
                downsample=Downsample(width, norm_layer) if index < len(depths) - 1 else None,
            )
            self.levels.append(stage)

        self.apply(_init_weights)
        self._freeze_stages()

    def init_weights(self) -> None:
        """Load what ``init_cfg`` names, if it is set: the published classifiers, without their heads.

        Raises:
            FileNotFoundError: the file does not exist.
            RuntimeError: it could not be downloaded, or does not hold an InternImage of this size.
        """
        if self.init_cfg is None:
            return
        source = self.init_cfg['checkpoint']
        copy_pretrained(
            self,
            read_weights(source),
            prefixes=('patch_embed.', 'levels.'),
            source=source,
            advice='channels, depths, groups, mlp_ratio and norms must be those of the weights',
        )

    def get_layer_id(self, name: str) -> int:
        """Return the depth of a parameter, for layer-wise learning rates.

        The numbers are the original's, with which the published checkpoints were trained: norms between blocks count
        from the start of their stage, and the last norm of all belongs to the start of the last stage.

        Args:
            name: the parameter's name in this module.

        Returns:
            0 for the stem; for block i of a stage i + 1 more than all blocks before that stage.
        """
        part, *rest = name.split('.')
        if part == 'patch_embed':
            return 0
        stage, kind, index = int(rest[0]), rest[1], rest[2]
        before = sum(self.depths[:stage])
        if kind in ('blocks', 'post_norms'):
            return before + int(index) + 1
        if stage == len(self.depths) - 1:
            return before + 1
        return before + self.depths[stage] + 1

    def train(self, mode: bool = True) -> 'InternImage':
        """Switch to training or evaluation, in which the frozen stages stay."""
        super().train(mode)
        self._freeze_stages()
        return self

    def _freeze_stages(self) -> None:
        for level in self.levels[: max(self.frozen_stages, 0)]:
            level.eval()
            level.requires_grad_(False)

    def forward(self, image: Tensor) -> list[Tensor]:
        """Return the maps of the stages in ``out_indices``.

        Args:
            image: ``[N, 3, h, w]`` floating point, normalized.

        Returns:
            Maps ``[N, C * 2**i, ceil(h/s), ceil(w/s)]`` for stage i with stride ``s = 4 * 2**i``.

        Raises:
            ValueError: ``image`` has another number of dimensions or channels.
        """
        check_image(image, 3)
        x = self.pos_drop(self.patch_embed(image))  # [N, ceil(h/4), ceil(w/4), C]
        features = []
        for index, level in enumerate(self.levels):
            feature, x = level(x)
            if index in self.out_indices:
                features.append(feature.permute(0, 3, 1, 2).contiguous())
        return features


def drop_path_rates(rate: float, drop_path_type: str, depth: int) -> list[float]:
    """Return every block's rate of stochastic depth: ``rate``, or from 0 to ``rate`` in equal steps."""
    if drop_path_type == 'uniform':
        return [rate] * depth
    return [rate * index / max(depth - 1, 1) for index in range(depth)]


def level2_block_ids(
    level2_post_norm: bool, level2_post_norm_block_ids: Sequence[int] | None, depths: Sequence[int]
) -> tuple[int, ...]:
    """Return the blocks of the third stage that are followed by a norm.

    Raises:
        ValueError: there are no such blocks, or one is named twice.
    """
    if not level2_post_norm:
        return ()
    ids = tuple(level2_post_norm_block_ids or ())
    depth = depths[2] if len(depths) > 2 else 0
    if not ids or len(set(ids)) < len(ids) or not all(0 <= index < depth for index in ids):
        raise InputError(
            f'level2_post_norm=True needs level2_post_norm_block_ids, different numbers of blocks of the third stage, '
            f'which has {depth}, but they are {level2_post_norm_block_ids}'
        )
    return ids


def _init_weights(module: nn.Module) -> None:
    """Start one module as the original does; pass it to ``nn.Module.apply``."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        nn.init.zeros_(module.bias)
    elif isinstance(module, DCNv3):
        # apply() reaches its linear layers first, so this has the last word
        module._reset_parameters()
