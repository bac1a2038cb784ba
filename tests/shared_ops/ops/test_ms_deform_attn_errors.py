"""What is refused, and whether the message says which argument, what came, and what was wanted."""

import re

import pytest
import torch

import shared_ops

# argument: [(what is done to it, what the message says)]
WRONG = {
    'value': [
        (lambda t: t.flatten(2), r'value must be \[N, S, M, D\], but has shape \[2, 57, 15\]'),
        (lambda t: t[:, :56], 'spatial_shapes cover 57 positions but value has 56'),
        (lambda t: t[:1], r'sampling_locations has shape .* ask for \[1, Lq, 3, 2, P, 2\]'),
        (lambda t: t[..., :0], 'at least one head and one channel'),
        (lambda t: t.long(), 'value is torch.int64, but must be one of torch.float32'),
        (lambda t: t.float(), 'sampling_locations is torch.float64, but value is torch.float32: convert'),
        (lambda t: t.half(), 'sampling_locations is torch.float64, .* to torch.float16 or torch.float32'),
        (lambda t: t.to('meta'), 'sampling_locations is on cpu, but value is on meta'),
    ],
    'spatial_shapes': [
        (lambda s: s[:1], 'level_start_index has 2 entries, but spatial_shapes has 1 levels'),
        (lambda s: [], 'spatial_shapes is empty'),
        (lambda s: [(6, 8), (1, 8)], 'spatial_shapes cover 56 positions but value has 57'),
        (lambda s: [(6, 8), (0, 9)], r'spatial_shapes holds \(0, 9\), but a level has at least one row'),
        (lambda s: [(6, 8, 1), (1, 9)], r'spatial_shapes must hold a pair \(h, w\) .* not \(6, 8, 1\)'),
        (lambda s: [6, 8, 1, 9], r'spatial_shapes must hold a pair \(h, w\) .* not 6'),
        (lambda s: [(6.5, 8), (1, 9)], 'spatial_shapes must hold integers, not 6.5'),
        (lambda s: torch.tensor(s).float(), r'spatial_shapes must be an integer tensor \[L, 2\] .* torch.float32'),
        (lambda s: torch.tensor(s).flatten(), r'spatial_shapes must be an integer tensor .* shape \[4\]'),
        (lambda s: torch.tensor([(6, 8), (1, 7)]), 'spatial_shapes cover 55 positions but value has 57'),
    ],
    'level_start_index': [
        (lambda s: [0], 'level_start_index has 1 entries, but spatial_shapes has 2 levels'),
        (lambda s: [0, 49], 'level_start_index holds 49, but a level of 1x9 .* 57 positions'),
        (lambda s: [-1, 48], 'level_start_index holds -1'),
        (lambda s: [0, 48.0], 'level_start_index must hold integers, not 48.0'),
        (lambda s: torch.tensor(s)[None], r'level_start_index must be an integer tensor \[L\]'),
    ],
    'sampling_locations': [
        (lambda t: t[0], r'sampling_locations must be \[N, Lq, M, L, P, 2\], but has shape'),
        (lambda t: t[..., :1], r'sampling_locations must be \[N, Lq, M, L, P, 2\]'),
        (lambda t: t[:, :, :2], r'sampling_locations has shape .* \[2, Lq, 3, 2, P, 2\]'),
        (lambda t: t[:, :, :, :1], r'sampling_locations has shape .* \[2, Lq, 3, 2, P, 2\]'),
        (lambda t: t[:, :, :, :, :0], 'sampling_locations has no points'),
        (lambda t: t[:, :6], r'attention_weights has shape .* ask for \[2, 6, 3, 2, 4\]'),
        (lambda t: t.float(), 'sampling_locations is torch.float32, but value is torch.float64'),
        (lambda t: t.to('meta'), 'sampling_locations is on meta, but value is on cpu'),
    ],
    'attention_weights': [
        (lambda t: t.flatten(3), r'attention_weights has shape \[2, 7, 3, 8\], .* \[2, 7, 3, 2, 4\]'),
        (lambda t: t[..., :3], r'attention_weights has shape .* \[2, 7, 3, 2, 4\], one weight per point'),
        (lambda t: t.half(), 'attention_weights is torch.float16, but value is torch.float64'),
        (lambda t: t.long(), 'attention_weights is torch.int64'),
        (lambda t: t.to('meta'), 'attention_weights is on meta, but value is on cpu'),
    ],
}


@pytest.mark.parametrize(
    ['name', 'change', 'message'],
    [(name, change, message) for name, changes in WRONG.items() for change, message in changes],
    ids=lambda part: None if callable(part) else re.sub(r'[^\w ]', '', part)[:40],
)
def test_wrong_argument(name: str, change, message: str, inputs) -> None:
    arguments = vars(inputs())
    arguments[name] = change(arguments[name])
    with pytest.raises(ValueError, match=message):
        shared_ops.ms_deform_attn(**arguments)


@pytest.mark.parametrize(
    ['options', 'message'],
    [
        ({'d_model': 13, 'n_heads': 3}, 'n_heads=3 must divide d_model=13'),
        ({'d_model': 12, 'n_heads': 3, 'ratio': 0.6}, r'int\(d_model \* ratio\) = 7 with d_model=12 and ratio=0.6'),
        ({'d_model': 12, 'n_heads': 3, 'ratio': 0.0}, r'int\(d_model \* ratio\) = 0'),
        ({'d_model': 0}, 'd_model must be a positive integer, not 0'),
        ({'n_heads': 0}, 'n_heads must be a positive integer, not 0'),
        ({'n_levels': -1}, 'n_levels must be a positive integer, not -1'),
        ({'n_points': 2.0}, 'n_points must be a positive integer, not 2.0'),
    ],
)
def test_wrong_module(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shared_ops.MSDeformAttn(**options)


@pytest.mark.parametrize(
    ['change', 'message'],
    [
        ({'query': torch.zeros(2, 5, 11)}, r'query must be \[N, Lq, 12\].* d_model=12, but has shape \[2, 5, 11\]'),
        ({'query': torch.zeros(5, 12)}, r'query must be \[N, Lq, 12\]'),
        ({'value': torch.zeros(2, 13, 11)}, r'value must be \[N, S, 12\]'),
        ({'value': torch.zeros(3, 13, 12)}, 'value has a batch of 3, but query has one of 2'),
        ({'value': torch.zeros(2, 14, 12)}, 'spatial_shapes cover 13 positions but value has 14'),
        ({'spatial_shapes': [(1, 13)]}, 'spatial_shapes has 1 levels, but the module was built with n_levels=2'),
        ({'reference_points': torch.zeros(1, 5, 1, 3)}, r'reference_points has shape \[1, 5, 1, 3\], but must be'),
        ({'reference_points': torch.zeros(3, 5, 1, 2)}, r'must be \[2 or 1, 5, 2 or 1, 2\] for points'),
        ({'reference_points': torch.zeros(2, 6, 2, 2)}, r'must be \[2 or 1, 5, 2 or 1, 2\] for points'),
        ({'reference_points': torch.zeros(2, 5, 2)}, 'reference_points has shape'),
        ({'padding_mask': torch.zeros(2, 12, dtype=torch.bool)}, r'padding_mask must be a bool tensor \[2, 13\]'),
        ({'padding_mask': torch.zeros(2, 13)}, 'padding_mask must be a bool tensor .* not torch.float32'),
    ],
)
def test_wrong_module_argument(change: dict, message: str) -> None:
    module = shared_ops.MSDeformAttn(12, n_levels=2, n_heads=3)
    arguments = {
        'query': torch.zeros(2, 5, 12),
        'reference_points': torch.zeros(1, 5, 2, 2),
        'value': torch.zeros(2, 13, 12),
        'spatial_shapes': [(2, 5), (1, 3)],
        'level_start_index': [0, 10],
    }
    with pytest.raises(ValueError, match=message):
        module(**(arguments | change))
