"""``python -m vit_comer``; what it does in detail is tested with ViT-Adapter and with shared_ops."""

from pathlib import Path

import vit_comer

import cv2
import numpy as np
import pytest

from shared_ops.openmmlab.cli import main
from support.tiny import run_command, write_config

CONFIG = 'upernet_vit_comer_tiny_512_160k_ade20k'


def test_ls_prints_one_name_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main('vit_comer', ['ls']) == 0
    names = capsys.readouterr().out.splitlines()
    assert names == [
        *(f'ade20k/upernet_vit_comer_{size}_512_160k_ade20k' for size in ('base', 'small', 'tiny')),
        'coco_stuff164k/mask2former_beitv2_comer_large_896_80k_cocostuff164k_ss_bs16',
    ]


def test_path_is_that_of_the_config(capsys: pytest.CaptureFixture[str]) -> None:
    assert main('vit_comer', ['path', CONFIG]) == 0
    path = Path(capsys.readouterr().out.strip())
    assert path.resolve() == (vit_comer.CONFIG_DIR / 'ade20k' / f'{CONFIG}.py').resolve()


def test_unknown_name_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main('vit_comer', ['path', CONFIG.replace('comer', 'commer')]) == 2
    assert f'Did you mean {CONFIG}' in capsys.readouterr().err


def test_train_and_predict(tmp_path: Path) -> None:
    config = write_config(tmp_path / 'tiny.py', tmp_path / 'data', drop=0.3, package='vit_comer')
    result = run_command('train', config, '--work-dir', 'work', cwd=tmp_path, package='vit_comer')
    assert result.returncode == 0, result.stderr

    cv2.imwrite(str(tmp_path / 'photo.png'), np.random.RandomState(0).randint(0, 256, (50, 70, 3)).astype(np.uint8))
    command = [
        'predict',
        str(config),
        str(tmp_path / 'photo.png'),
        '--checkpoint',
        str(tmp_path / 'work' / 'iter_4.pth'),
    ]
    assert main('vit_comer', [*command, '--device', 'cpu', '--amp', 'bf16', '--out', str(tmp_path / 'out')]) == 0
    labels = cv2.imread(str(tmp_path / 'out' / 'labels' / 'photo.png'), cv2.IMREAD_UNCHANGED)
    assert labels.shape == (50, 70) and labels.max() < 5
