"""A config for data of one's own, over each of the published ones."""

import math

import vit_adapter

import pytest
from mmengine.config import Config

from shared_ops.openmmlab.cli import main
from support.own_data import NAMES, check_other_data, config_names, draw_data, train_a_step, write_own_config
from support.tiny import run_command

TINY = 'ade20k/upernet_deit_adapter_tiny_512_160k_ade20k.py'
BACKBONE = {
    'embed_dim': 48, 'depth': 4, 'num_heads': 3, 'conv_inplane': 16, 'deform_num_heads': 3,
    'interaction_indexes': [[0, 0], [1, 1], [2, 2], [3, 3]],
}  # fmt: skip
UPERNET = {
    **{f'model.backbone.{key}': value for key, value in BACKBONE.items()},
    'model.backbone.window_attn': [False] * 4,
    'model.backbone.window_size': [None] * 4,
    'model.decode_head.in_channels': [48] * 4,
    'model.decode_head.channels': 16,
    'model.auxiliary_head.in_channels': 48,
    'model.auxiliary_head.channels': 16,
    'optim_wrapper.paramwise_cfg.num_layers': 4,
}
ATTENTION = {'embed_dims': 32, 'num_heads': 4}
FFN = {'embed_dims': 32, 'feedforward_channels': 48}
MASK2FORMER = {
    **{f'model.backbone.{key}': value for key, value in BACKBONE.items()},
    'optim_wrapper.paramwise_cfg.num_layers': 4,
    'model.train_cfg.num_points': 256,
    'model.decode_head': {
        'in_channels': [48] * 4, 'feat_channels': 32, 'out_channels': 32, 'num_queries': 9,
        'pixel_decoder': {
            'norm_cfg': {'num_groups': 4}, 'positional_encoding': {'num_feats': 16},
            'encoder': {'num_layers': 2, 'layer_cfg': {'self_attn_cfg': ATTENTION, 'ffn_cfg': FFN}},
        },
        'positional_encoding': {'num_feats': 16},
        'transformer_decoder': {
            'num_layers': 2, 'layer_cfg': {'self_attn_cfg': ATTENTION, 'cross_attn_cfg': ATTENTION, 'ffn_cfg': FFN},
        },
    },
}  # fmt: skip


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return draw_data(tmp_path_factory.mktemp('own') / 'data')


@pytest.mark.parametrize('name', config_names('vit_adapter'))
def test_every_config_takes_other_data(name, data, tmp_path) -> None:
    check_other_data('vit_adapter', name, data, tmp_path / 'own.py')


@pytest.mark.parametrize(
    ('name', 'overrides'),
    [(TINY, UPERNET), ('ade20k/mask2former_beit_adapter_large_640_160k_ade20k_ms.py', MASK2FORMER)],
    ids=['upernet', 'mask2former'],
)
def test_a_step_on_other_data(name, overrides, data, tmp_path) -> None:
    config = write_own_config('vit_adapter', name, data, tmp_path / 'own.py', random=True)
    logged = train_a_step(config, overrides)
    assert math.isfinite(logged['loss']) and logged['loss'] > 0


def test_a_config_says_only_what_differs(data, new, tmp_path) -> None:
    published = [word for word in new if word not in ('--crop', '64')]
    assert main('vit_adapter', [*published, '--ignore', '77']) == 0
    lines = (tmp_path / 'own.py').read_text().splitlines()
    assert len(lines) <= 27 and max(map(len, lines)) <= 120
    config, base = (Config.fromfile(path) for path in (tmp_path / 'own.py', vit_adapter.CONFIG_DIR / TINY))
    assert config.crop_size == base.crop_size and config.tta_pipeline == base.tta_pipeline
    for split in ('train', 'val'):
        assert config[f'{split}_dataloader'].dataset.pipeline == base[f'{split}_dataloader'].dataset.pipeline


@pytest.fixture
def new(data, tmp_path, monkeypatch):
    """``new`` with all that it needs, but for what the pictures' border of 77 is."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'classes.txt').write_text('\n'.join(NAMES))
    return [
        'new', TINY, 'own.py', '--data', str(data), '--classes', 'classes.txt', '--start', 'random', '--crop', '64',
        '--iterations', '2',
    ]  # fmt: skip


def test_new_refuses_what_cannot_be_learnt(new, tmp_path, capsys) -> None:
    assert main('vit_adapter', new) == 1
    assert 'new ... --ignore 77' in capsys.readouterr().out and not (tmp_path / 'own.py').exists()
    assert main('vit_adapter', [*new, '--batch', '1']) == 2
    assert 'takes 2 of them' in capsys.readouterr().err
    assert main('vit_adapter', [*new, '--ignore', '300']) == 2
    assert 'from 0 to 255' in capsys.readouterr().err and not (tmp_path / 'own.py').exists()
    (tmp_path / 'own.py').write_text('# mine')
    assert main('vit_adapter', [*new, '--ignore', '77']) == 2
    assert 'is left as it is' in capsys.readouterr().err and (tmp_path / 'own.py').read_text() == '# mine'


@pytest.mark.needs_tensorboard
def test_new_config_trains_and_is_drawn(new, tmp_path, capsys) -> None:
    assert main('vit_adapter', [*new, '--ignore', '77']) == 0
    assert 'train own.py' in capsys.readouterr().out
    options = [f'{key}={value}'.replace(' ', '') for key, value in UPERNET.items()]
    workers = [
        f'{split}_dataloader.{key}'
        for split in ('train', 'val')
        for key in ('num_workers=0', 'persistent_workers=False')
    ]
    trained = run_command(
        'train', 'own.py', '--tensorboard', '--cfg-options', *options, *workers, 'default_hooks.logger.interval=1',
        cwd=tmp_path,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    work_dir = tmp_path / 'work_dirs' / 'own'
    assert (work_dir / 'curves.png').stat().st_size > 10_000
    assert len([*work_dir.glob('best_mIoU_iter_*.pth')]) == 1

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    (events,) = work_dir.glob('*/vis_data/events.out.tfevents.*')
    read = EventAccumulator(str(events))
    read.Reload()
    assert [event.step for event in read.Scalars('loss')] == [1, 2]
    assert [event.step for event in read.Scalars('mIoU')] == [1, 2]

    assert main('vit_adapter', ['plot', str(work_dir), '--out', 'plots/own.svg']) == 0
    assert (tmp_path / 'plots' / 'own.svg').exists() and 'own: 2 iterations' in capsys.readouterr().out


def test_tensorboard_that_is_not_installed(new, capsys, monkeypatch) -> None:
    assert main('vit_adapter', [*new, '--ignore', '77']) == 0
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    assert main('vit_adapter', ['train', 'own.py', '--tensorboard']) == 2
    assert 'pip install tensorboard' in capsys.readouterr().err
