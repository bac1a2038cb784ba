"""ImageNet weights as a start for training: DeiT's and AugReg's files, and timm's models by name."""

from collections.abc import Callable
from pathlib import Path

from vit_adapter import ViTAdapter

import numpy as np
import pytest
import timm
import torch
from timm.models.vision_transformer import VisionTransformer
from torch import Tensor, nn

# Small, and no two sizes alike: 4 x 4 patches in pretraining, 24 channels, 2 heads, 3 blocks.
SIZES = {'img_size': 64, 'patch_size': 16, 'embed_dim': 24, 'depth': 3, 'num_heads': 2}


def backbone(pretrained: str | None, **changes: object) -> ViTAdapter:
    torch.manual_seed(1)
    arguments = dict(
        **SIZES, pretrain_size=64, deform_num_heads=3, conv_inplane=4, interaction_indexes=[[0, 2]],
        add_vit_feature=False, pretrained=pretrained,
    )  # fmt: skip
    return ViTAdapter(**{**arguments, **changes})


def classifier(**changes: object) -> VisionTransformer:
    torch.manual_seed(2)
    model = VisionTransformer(**{**SIZES, 'num_classes': 11, **changes})
    for parameter in model.parameters():  # none that is zero or one may pass by accident
        nn.init.normal_(parameter)
    return model


def assert_trunk_is(model: ViTAdapter, weights: dict[str, Tensor]) -> None:
    state = model.state_dict()
    trunk = [name for name in state if name.startswith(('patch_embed.', 'pos_embed', 'blocks.'))]
    compared = [name for name in trunk if 'gamma' not in name]
    assert len(compared) == 3 + 3 * 12
    for name in compared:
        assert torch.equal(state[name], weights[name]), name


@pytest.mark.parametrize('wrapper', [None, 'model', 'state_dict'])
def test_file_of_pytorch(tmp_path: Path, wrapper: str | None) -> None:
    """DeiT publishes its weights under 'model', ViT-Adapter's copies of AugReg are bare; both have timm's names."""
    weights = classifier().state_dict()
    torch.save(weights if wrapper is None else {wrapper: weights}, tmp_path / 'vit.pth')
    model = backbone(str(tmp_path / 'vit.pth'))
    adapter = {name: value.clone() for name, value in model.state_dict().items() if name.startswith('interactions')}
    model.init_weights()
    assert_trunk_is(model, weights)
    state = model.state_dict()
    assert all(torch.equal(state[name], value) for name, value in adapter.items())
    assert torch.equal(state['blocks.1.gamma2'], torch.ones(24))


def test_building_reads_nothing(tmp_path: Path) -> None:
    backbone(str(tmp_path / 'nowhere.pth'))


def augreg_arrays(weights: dict[str, Tensor], num_heads: int) -> dict[str, np.ndarray]:
    """Name and lay out weights as Flax did when AugReg was published (channels last, heads apart)."""
    arrays = {
        'embedding/kernel': weights['patch_embed.proj.weight'].permute(2, 3, 1, 0),
        'embedding/bias': weights['patch_embed.proj.bias'],
        'cls': weights['cls_token'],
        'Transformer/posembed_input/pos_embedding': weights['pos_embed'],
        'Transformer/encoder_norm/scale': weights['norm.weight'],
        'Transformer/encoder_norm/bias': weights['norm.bias'],
    }
    dim = weights['cls_token'].shape[-1]
    for index in range(SIZES['depth']):
        old, new = f'blocks.{index}.', f'Transformer/encoderblock_{index}/'
        for number, norm in [(0, 'norm1'), (2, 'norm2')]:
            arrays[f'{new}LayerNorm_{number}/scale'] = weights[f'{old}{norm}.weight']
            arrays[f'{new}LayerNorm_{number}/bias'] = weights[f'{old}{norm}.bias']
        attention = f'{new}MultiHeadDotProductAttention_1/'
        qkv = zip(
            ('query', 'key', 'value'),
            weights[f'{old}attn.qkv.weight'].chunk(3),
            weights[f'{old}attn.qkv.bias'].chunk(3),
        )
        for name, weight, bias in qkv:
            arrays[f'{attention}{name}/kernel'] = weight.T.reshape(dim, num_heads, -1)
            arrays[f'{attention}{name}/bias'] = bias.reshape(num_heads, -1)
        arrays[f'{attention}out/kernel'] = weights[f'{old}attn.proj.weight'].T.reshape(num_heads, -1, dim)
        arrays[f'{attention}out/bias'] = weights[f'{old}attn.proj.bias']
        for number, layer in [(0, 'fc1'), (1, 'fc2')]:
            arrays[f'{new}MlpBlock_3/Dense_{number}/kernel'] = weights[f'{old}mlp.{layer}.weight'].T
            arrays[f'{new}MlpBlock_3/Dense_{number}/bias'] = weights[f'{old}mlp.{layer}.bias']
    return {name: value.numpy() for name, value in arrays.items()}


def test_file_of_augreg(tmp_path: Path) -> None:
    weights = classifier().state_dict()
    np.savez(tmp_path / 'augreg.npz', **augreg_arrays(weights, SIZES['num_heads']))
    model = backbone(str(tmp_path / 'augreg.npz'))
    model.init_weights()
    assert_trunk_is(model, weights)


@pytest.fixture
def timm_offers(monkeypatch: pytest.MonkeyPatch) -> Callable[[VisionTransformer], None]:
    """Have timm return a model of ours as its pretrained ``deit_tiny_patch16_224``."""

    def offer(model: VisionTransformer) -> None:
        def create_model(name: str, pretrained: bool, num_classes: int) -> VisionTransformer:
            assert (name, pretrained) == ('deit_tiny_patch16_224', True)
            return model

        monkeypatch.setattr(timm, 'create_model', create_model)

    return offer


def test_model_of_timm_by_name(timm_offers: Callable[[VisionTransformer], None]) -> None:
    timm_offers(classifier())
    model = backbone('timm://deit_tiny_patch16_224')
    model.init_weights()
    assert_trunk_is(model, classifier().state_dict())


@pytest.mark.parametrize(
    'tokens', [{'no_embed_class': True}, {'reg_tokens': 4}, {'class_token': False, 'global_pool': 'avg'}]
)
def test_other_tokens_and_layer_scale(
    timm_offers: Callable[[VisionTransformer], None], tokens: dict[str, object]
) -> None:
    """DeiT-III has layer scale and embeds no class token, others have registers; the patches' rows are what counts."""
    offered = classifier(init_values=0.1, **tokens)
    timm_offers(offered)
    model = backbone('timm://deit_tiny_patch16_224')
    model.init_weights()
    weights = offered.state_dict()
    assert torch.equal(model.pos_embed[:, 1:], weights['pos_embed'][:, -16:])
    assert torch.equal(model.blocks[2].gamma1, weights['blocks.2.ls1.gamma'])
    assert torch.equal(model.blocks[0].gamma2, weights['blocks.0.ls2.gamma'])


def test_published_names_exist_in_timm() -> None:
    """The README's ``timm://`` name, and those that fit the other six configs."""
    for name in ('deit_tiny_patch16_224', 'deit_small_patch16_224', 'deit_base_patch16_224', 'vit_large_patch16_384'):
        assert timm.is_model(name)


@pytest.mark.parametrize(
    ('changes', 'reason'),
    [
        ({'depth': 4}, r'blocks\.3\.norm1\.weight is not in the model'),
        ({'depth': 2}, r'blocks\.2\.norm1\.weight is missing'),
        ({'embed_dim': 32}, r'patch_embed\.proj\.weight is \[32, 3, 16, 16\], the model has \[24, 3, 16, 16\]'),
        ({'img_size': 96}, r'pos_embed is \[1, 37, 24\], the model has \[1, 17, 24\].*pretrain_size'),
    ],
)
def test_weights_of_another_size(tmp_path: Path, changes: dict[str, int], reason: str) -> None:
    torch.save({'model': classifier(**changes).state_dict()}, tmp_path / 'other.pth')
    model = backbone(str(tmp_path / 'other.pth'))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(RuntimeError, match=r'other\.pth do not fit ViTAdapter.*' + reason):
        model.init_weights()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), 'nothing was copied'


def test_missing_file_says_where_it_is_published(tmp_path: Path) -> None:
    model = backbone(str(tmp_path / 'deit_tiny_patch16_224-a1311bcf.pth'))
    with pytest.raises(
        FileNotFoundError, match=r'download https://dl\.fbaipublicfiles\.com/deit/deit_tiny_patch16_224'
    ):
        model.init_weights()
    with pytest.raises(FileNotFoundError, match=r'pretrained=timm://NAME'):
        backbone('unknown.pth').init_weights()


def test_every_config_names_a_published_file() -> None:
    import vit_adapter

    from mmengine import Config

    from shared_ops.openmmlab.zoo.starts import PUBLISHED_IN, published_address, start_files

    configs = sorted(vit_adapter.CONFIG_DIR.glob('[!_]*/*.py'))
    assert configs
    for path in configs:
        config = Config.fromfile(path)
        assert Path(config.model.pretrained).name in PUBLISHED_IN, path
        # models of other data sets too
        assert all(published_address(Path(source).name, 'vit_adapter') for source in start_files(config)), path


def test_unknown_name_of_timm() -> None:
    with pytest.raises(ValueError, match=r'timm has no model deit_tiny_patch16_22; did you mean deit_tiny_patch16_224'):
        backbone('timm://deit_tiny_patch16_22').init_weights()


def test_failed_download(monkeypatch: pytest.MonkeyPatch) -> None:
    def create_model(*_: object, **__: object) -> None:
        raise ConnectionError('no route to host')

    monkeypatch.setattr(timm, 'create_model', create_model)
    with pytest.raises(RuntimeError, match=r'deit_tiny_patch16_224 could not be had \(ConnectionError: no route'):
        backbone('timm://deit_tiny_patch16_224').init_weights()


def test_archive_of_something_else(tmp_path: Path) -> None:
    np.savez(tmp_path / 'other.npz', resnet=np.ones(3))
    with pytest.raises(ValueError, match=r'no vision transformer of AugReg'):
        backbone(str(tmp_path / 'other.npz')).init_weights()
    (tmp_path / 'text.npz').write_text('no archive')
    with pytest.raises(ValueError, match='cannot be read as a NumPy archive'):
        backbone(str(tmp_path / 'text.npz')).init_weights()
