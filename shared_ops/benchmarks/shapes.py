"""The shapes that are timed: what the models of the papers ask of the operators, by name.

Shape notation: N batch, S positions summed over levels, Lq queries, L levels, M heads, P points, D channels per head or
group, G groups, K points of a kernel.
"""

from dataclasses import dataclass
from typing import ClassVar

Size = tuple[int, int]  # (height, width)


@dataclass(frozen=True)
class AttentionCase:
    """One multi-scale deformable attention.

    Attributes:
        name: as options and tables say it.
        queries: maps whose pixels are the queries, (height, width) each.
        levels: maps that the values lie on.
        heads: M.
        channels: D.
        points: P, on every level.
    """

    operator: ClassVar[str] = 'ms_deform_attn'
    name: str
    queries: tuple[Size, ...]
    levels: tuple[Size, ...]
    heads: int
    channels: int = 32
    points: int = 4

    @property
    def interpolations(self) -> int:
        """How many channels of points are read for one image: the measure of the work."""
        queries = sum(height * width for height, width in self.queries)
        return queries * self.heads * len(self.levels) * self.points * self.channels


@dataclass(frozen=True)
class ConvolutionCase:
    """One DCNv3 with a 3x3 kernel, stride 1 and padding 1, as in every stage of InternImage.

    Attributes:
        name: as options and tables say it.
        size: (height, width) of input and output.
        groups: G.
        channels: D.
        offset_scale: what offsets are multiplied with.
    """

    operator: ClassVar[str] = 'dcnv3'
    kernel: ClassVar[Size] = (3, 3)
    name: str
    size: Size
    groups: int
    channels: int
    offset_scale: float = 1.0

    @property
    def interpolations(self) -> int:
        """How many channels of points are read for one image: the measure of the work."""
        height, width = self.size
        return height * width * self.groups * self.kernel[0] * self.kernel[1] * self.channels


Case = AttentionCase | ConvolutionCase


def _pyramid(image: int, *strides: int) -> tuple[Size, ...]:
    return tuple((image // stride, image // stride) for stride in strides)


def _vit_adapter(name: str, image: int, heads: int, channels: int = 32) -> list[Case]:
    # section 3.3: tokens (stride 16) look at three maps, and the other way round; deform_ratio=0.5 gives D = 32
    tokens, maps = _pyramid(image, 16), _pyramid(image, 8, 16, 32)
    return [
        AttentionCase(f'vit-adapter-{name}-{image}-injector', tokens, maps, heads, channels),
        AttentionCase(f'vit-adapter-{name}-{image}-extractor', maps, tokens, heads, channels),
    ]


def _mask2former(image: int, channels: int, per_head: int = 32) -> Case:
    # the pixel decoder's encoder, smallest map first; 1024 channels are those of the large ADE20K models
    maps = _pyramid(image, 32, 16, 8)
    return AttentionCase(f'mask2former-{channels}-{image}', maps, maps, channels // per_head, per_head)


def _dinov3(image: int) -> list[Case]:
    # the 7B trunk, 4096 wide: 16 heads of 128 channels; the adapter has no injectors, the pixel decoder is 2048 wide
    _, extractor = _vit_adapter('dinov3-7b', image, 16, 128)
    return [extractor, _mask2former(image, 2048, 128)]


def _internimage(name: str, image: int, channels: int, groups: int, offset_scale: float) -> list[Case]:
    return [
        ConvolutionCase(
            f'internimage-{name}-{image}-stage{stage + 1}',
            _pyramid(image, 4 << stage)[0],
            groups << stage,
            channels // groups,
            offset_scale,
        )
        for stage in range(4)
    ]


def _all() -> list[Case]:
    # an image of 800 x 1333, strides 8 to 64, each map rounded up from the one before
    detr = ((100, 167), (50, 84), (25, 42), (13, 21))
    cases = [
        *_vit_adapter('s', 512, 6, 64),  # deform_ratio=1.0, in ViT-CoMer-S as well
        *_vit_adapter('b', 512, 12),
        *_vit_adapter('l', 896, 16),
        *_dinov3(896),
        *[_mask2former(image, channels) for image in (512, 896) for channels in (256, 1024)],
        _mask2former(1024, 256),  # with 512 the range that deformops is tuned for, 5 to 22 thousand queries
        AttentionCase('deformable-detr-encoder', detr, detr, 8),
    ]
    for image in (512, 896):
        cases += _internimage('t', image, 64, 4, 1.0)
        cases += _internimage('l', image, 160, 10, 2.0)
        cases += _internimage('h', image, 320, 10, 1.0)
    return cases


CASES: dict[str, Case] = {case.name: case for case in _all()}

# What --cases takes as one name. On a GPU the minutes are few: one of each kind, the most telling first.
SELECTIONS: dict[str, tuple[str, ...]] = {
    'gpu': (
        'mask2former-1024-896',
        'vit-adapter-l-896-injector',
        'vit-adapter-l-896-extractor',
        'mask2former-256-1024',
        'internimage-l-896-stage1',
        'internimage-h-896-stage3',
        'vit-adapter-s-512-injector',
        'vit-adapter-dinov3-7b-896-extractor',
        'deformable-detr-encoder',
        'internimage-t-512-stage1',
        'internimage-l-512-stage3',
    ),
}

# For a smoke test: everything happens, nothing takes long, no number means anything.
TINY: dict[str, Case] = {
    case.name: case
    for case in (
        AttentionCase('tiny-pyramid', ((6, 9), (3, 5)), ((6, 9), (3, 5)), heads=3, channels=16),
        AttentionCase('tiny-extractor', ((8, 12), (4, 6)), ((4, 6),), heads=2, channels=8),
        ConvolutionCase('tiny-convolution', (9, 12), groups=3, channels=16),
        ConvolutionCase('tiny-scaled', (7, 5), groups=2, channels=8, offset_scale=2.0),
    )
}
