"""Mask2Former's pixel decoder (https://arxiv.org/abs/2112.01527, section 3.2.2).

Shape notation: N batch, C channels, S positions summed over the encoder's levels.
"""

from itertools import accumulate
from typing import Any

import torch
import torch.nn.functional as F
from mmdet.models.layers import MSDeformAttnPixelDecoder
from torch import Tensor

from .attention import DeformableSelfAttention


class PixelDecoder(MSDeformAttnPixelDecoder):  # type: ignore[misc]
    """MMDetection's ``MSDeformAttnPixelDecoder`` with the kernels of shared_ops and sizes that are Python integers.

    Originals: ``MSDeformAttnPixelDecoder`` (plugins/msdeformattn_pixel_decoder.py), whose numbers it gives. MMDetection
    computes the reference points of a float64 model in float32, and waits for the device at every level.

    Args:
        kwargs: as for ``MSDeformAttnPixelDecoder``.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for layer in self.encoder.layers:
            replaced = layer.self_attn
            layer.self_attn = DeformableSelfAttention(
                embed_dims=replaced.embed_dims,
                num_heads=replaced.num_heads,
                num_levels=replaced.num_levels,
                num_points=replaced.num_points,
                dropout=replaced.dropout.p,
            )

    def init_weights(self) -> None:
        """Initialize as MMDetection does, the attention last, which has rules of its own."""
        super().init_weights()
        for layer in self.encoder.layers:
            layer.self_attn._reset_parameters()

    def forward(self, feats: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Let the maps of strides 32, 16 and 8 attend to each other, and refine that of stride 4 with the result.

        Args:
            feats: ``[N, C_i, h_i, w_i]`` of the backbone, from high to low resolution.

        Returns:
            The features of which masks are made ``[N, C, h_0, w_0]``, and the encoder's maps ``[N, C, h_i, w_i]``
            from low to high resolution.
        """
        deepest_first = feats[::-1][: self.num_encoder_levels]
        sizes = [(feature.shape[-2], feature.shape[-1]) for feature in deepest_first]
        lengths = [height * width for height, width in sizes]
        tokens = [conv(feature) for conv, feature in zip(self.input_convs, deepest_first, strict=True)]
        query = torch.cat([level.flatten(2).transpose(1, 2) for level in tokens], dim=1)  # [N, S, C]
        positions = [
            sine_positions(self.postional_encoding, size, query) + embedding
            for size, embedding in zip(sizes, self.level_encoding.weight, strict=True)
        ]
        points = [pixel_centres(size, query) for size in sizes]
        memory = self.encoder(
            query=query,
            query_pos=torch.cat(positions, dim=1),
            key_padding_mask=None,
            spatial_shapes=sizes,
            level_start_index=[0, *accumulate(lengths[:-1])],
            valid_ratios=None,
            reference_points=torch.cat(points)[None, :, None],  # [1, S, 1, 2]
        )  # [N, S, C]
        maps = [
            level.transpose(1, 2).unflatten(2, size)
            for level, size in zip(memory.split(lengths, dim=1), sizes, strict=True)
        ]  # [N, C, h_i, w_i]
        shallow = feats[: self.num_input_levels - self.num_encoder_levels][::-1]
        for feature, lateral, output in zip(shallow, self.lateral_convs, self.output_convs, strict=True):
            finer = lateral(feature)
            coarse = F.interpolate(maps[-1], size=finer.shape[-2:], mode='bilinear', align_corners=False)
            maps.append(output(finer + coarse))
        return self.mask_feature(maps[-1]), maps[: self.num_outs]


def sine_positions(encoding: torch.nn.Module, size: tuple[int, int], like: Tensor) -> Tensor:
    """Return the sine encoding of a map's positions ``[1, h*w, C]``, computed in float32, in the type of ``like``."""
    nothing_is_padding = torch.zeros((1, *size), dtype=torch.bool, device=like.device)
    positions: Tensor = encoding(nothing_is_padding)
    return positions.flatten(2).transpose(1, 2).to(like.dtype)


def pixel_centres(size: tuple[int, int], like: Tensor) -> Tensor:
    """Return the centres of a map's pixels ``[h*w, 2]`` (x, y), the map spanning [0, 1], in float32 or better."""
    dtype = torch.promote_types(like.dtype, torch.float32)
    rows, columns = ((torch.arange(n, device=like.device, dtype=dtype) + 0.5) / n for n in size)
    y, x = torch.meshgrid(rows, columns, indexing='ij')
    return torch.stack((x.flatten(), y.flatten()), -1)
