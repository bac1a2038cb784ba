"""Small backbones of every kind, without registry or config, all of whose parameters matter."""

import vit_adapter

import torch
from mmengine.model import revert_sync_batchnorm
from torch import nn

_TRUNK = {'embed_dim': 24, 'depth': 4, 'num_heads': 3, 'img_size': 64}
_ADAPTER = {**_TRUNK, 'deform_num_heads': 2, 'conv_inplane': 4, 'interaction_indexes': [[0, 0], [1, 1], [2, 2], [3, 3]]}
SMALL = {
    'ViTAdapter': {**_ADAPTER, 'pretrain_size': 64},
    'BEiTAdapter': {**_ADAPTER, 'qkv_bias': True, 'init_values': 0.1},
    'BEiTBaseline': {
        **_TRUNK, 'qkv_bias': True, 'init_values': 0.1, 'use_abs_pos_emb': False, 'use_rel_pos_bias': True,
        'out_indices': [0, 1, 2, 3],
    },
    'UniPerceiverAdapter': _ADAPTER,
    'ViTBaseline': {**_TRUNK, 'embed_dim': 32, 'num_heads': 4, 'pretrain_size': 64},
}  # fmt: skip
# These leave out the pixels that do not fill a patch, as the originals do; the others pad.
BASELINES = ('BEiTBaseline', 'ViTBaseline')
STARTS_AT_ZERO = (
    'gamma', 'gamma_1', 'gamma_2', 'pos_embed', 'q_bias', 'v_bias', 'relative_position_bias_table',
    'sampling_offsets.weight', 'attention_weights.weight',
)  # fmt: skip


def arguments(name: str, **changes: object) -> dict[str, object]:
    """Return the arguments of a small backbone."""
    return {**SMALL[name], **changes}


def small(name: str, **changes: object) -> nn.Module:
    """Return a small backbone in evaluation mode."""
    torch.manual_seed(1)
    backbone = getattr(vit_adapter, name)(**arguments(name, **changes))
    for key, parameter in backbone.named_parameters():
        if key.endswith(STARTS_AT_ZERO):
            nn.init.normal_(parameter, std=0.2)
    return revert_sync_batchnorm(backbone).eval()
