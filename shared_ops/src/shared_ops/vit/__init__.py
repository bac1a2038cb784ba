"""What adapters of plain vision transformers have in common: trunk, spatial prior, pyramid."""

from .attention import Attention, WindowedAttention
from .block import Block
from .conv_ffn import ConvFFN
from .inputs import pad_to_multiple, pyramid_sizes
from .patch_embed import PatchEmbed
from .position import resize_position_embedding
from .pretrained import plain_vit_weights
from .pyramid import FeaturePyramid
from .reference_points import DeformInputs, deform_inputs
from .spatial_prior import SpatialPriorModule
from .weight_init import init_adapter_weights

__all__ = [
    'Attention',
    'Block',
    'ConvFFN',
    'DeformInputs',
    'FeaturePyramid',
    'PatchEmbed',
    'SpatialPriorModule',
    'WindowedAttention',
    'deform_inputs',
    'init_adapter_weights',
    'pad_to_multiple',
    'plain_vit_weights',
    'pyramid_sizes',
    'resize_position_embedding',
]
