import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from shared_ops.vit import check_image, cut_pyramid, pad_to_multiple, split_levels, tokens_to_map
from shared_ops.vit.inputs import map_to_tokens

SIDES = st.integers(min_value=1, max_value=70)


@given(height=SIDES, width=SIDES)
def test_padding_is_zeros_on_the_right_and_at_the_bottom(height, width):
    image = torch.rand(2, 3, height, width) + 1
    padded = pad_to_multiple(image, 32)
    assert padded.shape[-2] % 32 == 0 and 0 <= padded.shape[-2] - height < 32
    assert padded.shape[-1] % 32 == 0 and 0 <= padded.shape[-1] - width < 32
    assert torch.equal(padded[..., :height, :width], image)
    assert padded.sum(dtype=torch.float64) == pytest.approx(image.sum(dtype=torch.float64).item())


def test_multiples_are_not_copied():
    image = torch.rand(1, 3, 64, 96)
    assert pad_to_multiple(image, 32) is image


@given(height=SIDES, width=SIDES)
def test_maps_cover_the_image(height, width):
    padded = pad_to_multiple(torch.zeros(1, 1, height, width), 32)
    maps = [padded[..., ::stride, ::stride] for stride in (4, 8, 16, 32)]
    for feature, stride in zip(cut_pyramid(maps, height, width), (4, 8, 16, 32)):
        assert 0 <= feature.shape[-2] * stride - height < stride
        assert 0 <= feature.shape[-1] * stride - width < stride


def test_tokens_are_read_row_by_row():
    tokens = torch.arange(2 * 15 * 7.0).reshape(2, 15, 7)
    feature = tokens_to_map(tokens, 3, 5)
    assert feature.shape == (2, 7, 3, 5) and feature.is_contiguous()
    assert torch.equal(feature[1, :, 2, 4], tokens[1, 2 * 5 + 4])
    assert torch.equal(map_to_tokens(feature), tokens)


def test_levels_lie_one_after_another():
    height, width = 4, 6
    levels = [torch.full((1, size, 2), float(size)) for size in (8 * 12, 4 * 6, 2 * 3)]
    assert all(map(torch.equal, split_levels(torch.cat(levels, dim=1), height, width), levels))


@pytest.mark.parametrize(
    ('image', 'message'),
    [
        (torch.zeros(3, 32, 64), r'must be \[N, 3, H, W\], but has shape \[3, 32, 64\].*image\[None\]'),
        (torch.zeros(1, 4, 32, 64), 'has 4 channels, but the model was built with in_chans=3'),
        (torch.zeros(1, 32, 64, 3), 'has 32 channels.*channels first'),
        (torch.zeros(1, 3, 32, 64, dtype=torch.uint8), 'is torch.uint8, but must be floating point: normalize'),
        (torch.zeros(1, 3, 0, 64), r'has no pixels: its shape is \[1, 3, 0, 64\]'),
    ],
)
def test_what_is_no_image(image, message):
    with pytest.raises(ValueError, match=message):
        check_image(image, in_chans=3)
