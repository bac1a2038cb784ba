"""What is refused, and whether the message says which argument, what came, and what was wanted."""

import re

import pytest
import torch

import shared_ops
from support.operators import make_dcnv3

# argument: [(what is done to it, what the message says)]; the input is [2, 9, 8, 15] with three groups
WRONG = {
    'input': [
        (lambda t: t[0], r'input must be \[N, H, W, C\], but has shape \[9, 8, 15\]: channels come last'),
        (lambda t: t[:1], r'offset has shape \[2, 4, 11, 36\], .* asks for \[1, 4, 11, 3\*6\*2\]'),
        (lambda t: t[:, :7], r'offset has shape .* asks for \[2, 3, 11, 3\*6\*2\]'),
        (lambda t: t[:, :0], 'at least one row, column and channel'),
        (lambda t: t[..., :0], 'at least one row, column and channel'),
        (lambda t: t[..., :14], 'groups=3 must divide the 14 channels of input'),
        (lambda t: t[:, :1], r'kernel_size=\(3, 2\) with dilation=\(2, 1\) is larger than the 1x8 pixels .*: pad more'),
        (lambda t: t.long(), 'input is torch.int64, but must be one of torch.float32'),
        (lambda t: t.float(), 'offset is torch.float64, but input is torch.float32: convert'),
        (lambda t: t.half(), 'offset is torch.float64, .* to torch.float16 or torch.float32'),
        (lambda t: t.to('meta'), 'offset is on cpu, but input is on meta'),
    ],
    'offset': [
        (lambda t: t[..., :-1], r'offset has shape \[2, 4, 11, 35\], but input of shape \[2, 9, 8, 15\]'),
        (lambda t: t[:, :, :-1], r'offset has shape .* stride=\(2, 1\), padding=\(1, 2\), dilation=\(2, 1\)'),
        (lambda t: t.unflatten(-1, (-1, 2)), r'offset has shape \[2, 4, 11, 18, 2\]'),
        (lambda t: t.float(), 'offset is torch.float32, but input is torch.float64'),
        (lambda t: t.to('meta'), 'offset is on meta, but input is on cpu'),
    ],
    'mask': [
        (lambda t: t[..., :-1], r'mask has shape \[2, 4, 11, 17\], .* and groups=3 asks for \[2, 4, 11, 3\*6\]'),
        (lambda t: t.half(), 'mask is torch.float16, but input is torch.float64'),
        (lambda t: t.long(), 'mask is torch.int64'),
        (lambda t: t.to('meta'), 'mask is on meta, but input is on cpu'),
    ],
    'kernel_size': [
        (lambda p: (3, 3), r'offset has shape .* kernel_size=\(3, 3\), .* asks for \[2, 4, 10, 3\*9\*2\]'),
        (lambda p: (3, 0), r'kernel_size is \(3, 0\), but must be at least 1'),
        (lambda p: (3,), r'kernel_size must be an integer or a pair \(h, w\), not \(3,\)'),
        (lambda p: (3, 2, 1), r'kernel_size must be an integer or a pair \(h, w\), not \(3, 2, 1\)'),
        (lambda p: 2.5, 'kernel_size must hold integers, not 2.5'),
        (lambda p: None, 'kernel_size must hold integers, not None'),
    ],
    'stride': [(lambda p: 0, r'stride is \(0, 0\), but must be at least 1')],
    'padding': [
        (lambda p: (-1, 2), r'padding is \(-1, 2\), but must be at least 0'),
        (lambda p: 'same', 'padding must'),
    ],
    'dilation': [(lambda p: (0, 1), r'dilation is \(0, 1\), but must be at least 1')],
    'groups': [
        (lambda g: 4, 'groups=4 must divide the 15 channels of input'),
        (lambda g: 0, 'groups=0 must divide the 15 channels of input'),
        (lambda g: 3.0, 'groups must hold integers, not 3.0'),
    ],
    'offset_scale': [
        (lambda s: 'two', "offset_scale must be a number, not 'two'"),
        (lambda s: None, 'offset_scale must be a number, not None'),
    ],
}


@pytest.mark.parametrize(
    ['name', 'change', 'message'],
    [(name, change, message) for name, changes in WRONG.items() for change, message in changes],
    ids=lambda part: None if callable(part) else re.sub(r'[^\w ]', '', part)[:40],
)
def test_wrong_argument(name: str, change, message: str) -> None:
    arguments = vars(make_dcnv3())
    arguments[name] = change(arguments[name])
    with pytest.raises(ValueError, match=message):
        shared_ops.dcnv3(**arguments)


@pytest.mark.parametrize(
    ['options', 'message'],
    [
        ({'channels': 0}, 'channels must be an integer of at least 1, not 0'),
        ({'group': 2.0}, 'group must be an integer of at least 1, not 2.0'),
        ({'kernel_size': (3, 3)}, r'kernel_size must be an integer of at least 1, not \(3, 3\)'),
        ({'pad': -1}, 'pad must be an integer of at least 0, not -1'),
        ({'channels': 10, 'group': 4}, 'group=4 must divide channels=10'),
        ({'dw_kernel_size': 4}, 'dw_kernel_size=4 must be odd'),
        ({'kernel_size': 2, 'pad': 1, 'dilation': 2}, 'dw_kernel_size=2 must be odd'),
        ({'stride': 2}, 'stride=2, pad=1, dilation=1 and kernel_size=3 give a result of another size'),
        ({'kernel_size': 5}, r'the module needs stride=1 and 2\*pad = dilation\*\(kernel_size - 1\)'),
        ({'act_layer': 'Tanh'}, "act_layer must be one of GELU, ReLU, SiLU, not 'Tanh'"),
        ({'norm_layer': 'GN'}, "norm_layer must be one of LN, BN, not 'GN'"),
    ],
    ids=str,
)
def test_wrong_module(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        shared_ops.DCNv3(**options)


@pytest.mark.parametrize('shape', [(2, 5, 6, 11), (5, 6, 12), (2, 12, 5, 6)])
def test_wrong_module_argument(shape: tuple[int, ...]) -> None:
    module = shared_ops.DCNv3(12, group=3)
    with pytest.raises(ValueError, match=r'input must be \[N, H, W, 12\], channels last, .*channels=12, but has shape'):
        module(torch.zeros(shape))
