"""What holds for the backbones of every kind: sizes, precision, copies, recomputation, layers, errors."""

import copy
import functools
import pickle

import vit_adapter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmseg.registry import MODELS

from support.backbones import BASELINES, SMALL, arguments, small

shared = functools.cache(small)
every_backbone = pytest.mark.parametrize('name', SMALL)


def map_sizes(name, height, width):
    """Return the sizes of the four maps."""
    if name in BASELINES and min(height, width) >= 32:
        rows, columns = height // 16, width // 16
        return [(4 * rows, 4 * columns), (2 * rows, 2 * columns), (rows, columns), (rows // 2, columns // 2)]
    return [(-(-height // stride), -(-width // stride)) for stride in (4, 8, 16, 32)]


class TestSizes:
    @every_backbone
    @settings(max_examples=15)
    @given(height=st.integers(32, 100), width=st.integers(32, 100))
    def test_every_size_works(self, name, height, width):
        backbone = shared(name)
        with torch.no_grad():
            features = backbone(torch.randn(1, 3, height, width))
        assert [tuple(feature.shape[2:]) for feature in features] == map_sizes(name, height, width)
        assert all(feature.shape[1] == backbone.embed_dim and feature.isfinite().all() for feature in features)

    @every_backbone
    @pytest.mark.parametrize(('height', 'width'), [(1, 1), (31, 17), (5, 70)])
    def test_images_smaller_than_the_last_stride(self, name, height, width):
        with torch.no_grad():
            features = shared(name)(torch.randn(1, 3, height, width))
        for feature, stride in zip(features, (4, 8, 16, 32), strict=True):
            assert feature.shape[2] == -(-height // stride)
            assert feature.shape[3] in (-(-width // stride), width // 16 * 16 // stride)

    @pytest.mark.parametrize('name', [name for name in SMALL if name not in BASELINES])
    @torch.no_grad()
    def test_adapters_see_the_padded_image(self, name):
        image = torch.randn(2, 3, 70, 33)
        padded = shared(name)(torch.nn.functional.pad(image, (0, 31, 0, 26)))
        for feature, whole in zip(shared(name)(image), padded, strict=True):
            assert torch.equal(feature, whole[..., : feature.shape[2], : feature.shape[3]])

    @pytest.mark.parametrize('name', BASELINES)
    @torch.no_grad()
    def test_baselines_see_whole_patches_alone(self, name):
        image = torch.randn(2, 3, 79, 66)
        assert all(map(torch.equal, shared(name)(image), shared(name)(image[..., :64, :64])))

    @every_backbone
    @torch.no_grad()
    def test_a_batch_is_its_images(self, name):
        images = torch.randn(3, 3, 64, 96)
        alone = [shared(name)(image[None]) for image in images]
        for feature, *parts in zip(shared(name)(images), *alone, strict=True):
            torch.testing.assert_close(feature, torch.cat(parts), rtol=1e-4, atol=1e-5)

    @every_backbone
    def test_empty_batch(self, name):
        assert [len(feature) for feature in shared(name)(torch.zeros(0, 3, 32, 64))] == [0] * 4


class TestPrecision:
    @every_backbone
    @pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16], ids=str)
    @torch.no_grad()
    def test_autocast(self, name, dtype):
        image = torch.randn(1, 3, 64, 96)
        with torch.autocast('cpu', dtype=dtype):
            lower = shared(name)(image)
        for feature, expected in zip(lower, shared(name)(image), strict=True):
            assert feature.isfinite().all()
            assert (feature - expected).abs().max() < 0.05 * expected.abs().max()

    @every_backbone
    @pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16], ids=str)
    @torch.no_grad()
    def test_half_precision_weights(self, name, dtype):
        image = torch.randn(1, 3, 64, 96)
        half = small(name).to(dtype)
        for feature, expected in zip(half(image.to(dtype)), shared(name)(image), strict=True):
            assert feature.dtype == dtype
            assert (feature.float() - expected).abs().max() < 0.05 * expected.abs().max()


class TestCopies:
    image = torch.randn(1, 3, 32, 64)

    @every_backbone
    @pytest.mark.parametrize('copied', [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
    @torch.no_grad()
    def test_copies_compute_the_same(self, name, copied):
        assert all(map(torch.equal, copied(shared(name))(self.image), shared(name)(self.image)))

    @every_backbone
    @torch.no_grad()
    def test_state_dict_round_trip(self, name):
        other = small(name)
        for parameter in other.parameters():
            parameter.zero_()
        other.load_state_dict(shared(name).state_dict(), strict=True)
        assert all(map(torch.equal, other(self.image), shared(name)(self.image)))

    @every_backbone
    @torch.no_grad()
    def test_export(self, name):
        any_batch = ({0: torch.export.Dim.DYNAMIC},)
        exported = torch.export.export(shared(name), (torch.randn(2, 3, 32, 64),), dynamic_shapes=any_batch).module()
        images = torch.randn(3, 3, 32, 64)
        for feature, expected in zip(exported(images), shared(name)(images), strict=True):
            torch.testing.assert_close(feature, expected, rtol=1e-4, atol=1e-5)

    @every_backbone
    def test_without_values(self, name):
        with torch.device('meta'):
            backbone = getattr(vit_adapter, name)(**arguments(name)).eval()
        features = backbone(torch.empty(2, 3, 50, 70, device='meta'))
        assert [tuple(feature.shape[2:]) for feature in features] == map_sizes(name, 50, 70)
        described = {key: (value.shape, value.dtype) for key, value in backbone.state_dict().items()}
        kept = small(name).state_dict()
        assert described == {key: (value.shape, value.dtype) for key, value in kept.items()}


@every_backbone
def test_recomputed_activations_give_the_same_gradients(name):
    image = torch.randn(2, 3, 32, 64, dtype=torch.float64)
    gradients = []
    for with_cp in (False, True):
        backbone = small(name, with_cp=with_cp).double().train()
        sum(feature.square().mean() for feature in backbone(image)).backward()
        gradients.append({key: parameter.grad for key, parameter in backbone.named_parameters()})
    unused = {key for key, gradient in gradients[0].items() if gradient is None or not gradient.any()}
    assert unused == set()
    for key, kept in gradients[0].items():
        torch.testing.assert_close(gradients[1][key], kept, rtol=1e-9, atol=1e-12)


@every_backbone
def test_layers_of_the_optimizer(name):
    backbone = shared(name)
    embeddings = ('cls_token', 'pos_embed', 'patch_embed.', 'visual_embed.')
    for key, _ in backbone.named_parameters():
        if key.startswith(embeddings):
            assert backbone.get_layer_id(key) == 0
        elif key.startswith(('blocks.', 'layers.')):
            assert backbone.get_layer_id(key) == int(key.split('.')[1]) + 1
        else:
            assert backbone.get_layer_id(key) == 4 + 1, key


@every_backbone
def test_stochastic_depth_grows_over_the_trunk(name):
    backbone = small(name, drop_path_rate=0.3)
    blocks = backbone.layers if name == 'UniPerceiverAdapter' else backbone.blocks
    rates = [getattr(block.drop_path, 'drop_prob', 0.0) for block in blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3])


@every_backbone
def test_init_weights_without_a_file_keeps_the_start(name):
    backbone = small(name)
    before = copy.deepcopy(backbone.state_dict())
    backbone.init_weights()
    assert all(torch.equal(value, before[key]) for key, value in backbone.state_dict().items())


@every_backbone
def test_registered_under_the_originals_name(name):
    assert MODELS.get(name) is getattr(vit_adapter, name)


@every_backbone
def test_building_reads_no_file(name):
    backbone = small(name, pretrained='/does/not/exist.pth')
    with pytest.raises(FileNotFoundError, match=r'/does/not/exist\.pth do not exist'):
        backbone.init_weights()


@every_backbone
@pytest.mark.parametrize(
    ('image', 'message'),
    [
        (torch.zeros(3, 32, 64), r'image\[None\]'),
        (torch.zeros(1, 4, 32, 64), 'has 4 channels'),
        (torch.zeros(1, 3, 32, 64, dtype=torch.uint8), 'floating point'),
        (torch.zeros(1, 3, 32, 0), 'has no pixels'),
    ],
)
def test_what_is_no_image(name, image, message):
    with pytest.raises(ValueError, match=message):
        shared(name)(image)


@every_backbone
def test_unknown_arguments(name):
    with pytest.raises(TypeError, match='hybrid_backbone'):
        small(name, hybrid_backbone=None)


@every_backbone
def test_heads_divide_channels(name):
    with pytest.raises(ValueError, match='num_heads=5 must divide the embedding dimension'):
        small(name, num_heads=5)
