"""What adapters of plain vision transformers have in common: trunk, spatial prior, pyramid."""

from .attention import Attention, WindowedAttention, attend, check_heads, check_window_size
from .beit import BEiTAttention, BEiTBlock
from .block import Block, LayerNorm
from .conv_ffn import ConvFFN
from .extractor import Extractor
from .inputs import check_image, cut_pyramid, map_to_tokens, pad_to_multiple, split_levels, tokens_to_map
from .interacting_beit import InteractingBEiT
from .interacting_vit import InteractingViT
from .patch_embed import PatchEmbed, patch_grid
from .position import resize_position_embedding
from .pretrained import plain_vit_weights
from .pyramid import FeaturePyramid
from .recompute import recompute
from .reference_points import DeformInputs, deform_inputs
from .relative_position import RelativePositionBias, relative_position_bias, relative_position_index
from .spatial_prior import SpatialPriorModule
from .trunk import block_ranges, plain_vit_layer_id, window_sizes
from .two_branches import TrunkBlock, TwoBranches
from .weight_init import init_adapter_weights, init_linear_weights
from .windows import cut_windows, join_windows

__all__ = [
    'Attention',
    'BEiTAttention',
    'BEiTBlock',
    'Block',
    'ConvFFN',
    'DeformInputs',
    'Extractor',
    'FeaturePyramid',
    'InteractingBEiT',
    'InteractingViT',
    'LayerNorm',
    'PatchEmbed',
    'RelativePositionBias',
    'SpatialPriorModule',
    'TrunkBlock',
    'TwoBranches',
    'WindowedAttention',
    'attend',
    'block_ranges',
    'check_heads',
    'check_image',
    'check_window_size',
    'cut_pyramid',
    'cut_windows',
    'deform_inputs',
    'init_adapter_weights',
    'init_linear_weights',
    'join_windows',
    'map_to_tokens',
    'pad_to_multiple',
    'patch_grid',
    'plain_vit_layer_id',
    'plain_vit_weights',
    'recompute',
    'relative_position_bias',
    'relative_position_index',
    'resize_position_embedding',
    'split_levels',
    'tokens_to_map',
    'window_sizes',
]
