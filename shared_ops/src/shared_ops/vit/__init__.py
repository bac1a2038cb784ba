"""What adapters of plain vision transformers have in common: trunk, spatial prior, pyramid."""

from .attention import Attention, WindowedAttention
from .block import Block, LayerNorm
from .conv_ffn import ConvFFN
from .extractor import Extractor
from .inputs import check_image, cut_pyramid, map_to_tokens, pad_to_multiple, split_levels, tokens_to_map
from .interacting_vit import InteractingViT
from .patch_embed import PatchEmbed
from .position import resize_position_embedding
from .pretrained import plain_vit_weights
from .pyramid import FeaturePyramid
from .recompute import recompute
from .reference_points import DeformInputs, deform_inputs
from .spatial_prior import SpatialPriorModule
from .trunk import block_ranges, plain_vit_layer_id, window_sizes
from .weight_init import init_adapter_weights

__all__ = [
    'Attention',
    'Block',
    'ConvFFN',
    'DeformInputs',
    'Extractor',
    'FeaturePyramid',
    'InteractingViT',
    'LayerNorm',
    'PatchEmbed',
    'SpatialPriorModule',
    'WindowedAttention',
    'block_ranges',
    'check_image',
    'cut_pyramid',
    'deform_inputs',
    'init_adapter_weights',
    'map_to_tokens',
    'pad_to_multiple',
    'plain_vit_layer_id',
    'plain_vit_weights',
    'recompute',
    'resize_position_embedding',
    'split_levels',
    'tokens_to_map',
    'window_sizes',
]
