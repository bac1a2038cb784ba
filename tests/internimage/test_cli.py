"""``python -m internimage``; what it does in detail is tested with ViT-Adapter and with shared_ops."""

import re
from pathlib import Path

import internimage

import cv2
import numpy as np
import pytest

from shared_ops.openmmlab.cli import main
from support.tiny import run_command, write_config

CONFIG = 'upernet_internimage_t_512_160k_ade20k'


def test_ls_prints_one_name_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main('internimage', ['ls']) == 0
    names = capsys.readouterr().out.splitlines()
    assert names == sorted(
        path.relative_to(internimage.CONFIG_DIR).with_suffix('').as_posix()
        for path in internimage.CONFIG_DIR.glob('[!_]*/*.py')
    )
    assert len(names) == 28


def test_path_is_that_of_the_config(tmp_path: Path) -> None:
    result = run_command('path', CONFIG, cwd=tmp_path, package='internimage')
    assert result.returncode == 0, result.stderr
    path = Path(result.stdout.strip())
    assert path.resolve() == (internimage.CONFIG_DIR / 'ade20k' / f'{CONFIG}.py').resolve()


def test_unknown_name_suggests_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main('internimage', ['path', CONFIG.replace('internimage', 'interimage')]) == 2
    assert f'Did you mean {CONFIG}' in capsys.readouterr().err


@pytest.mark.parametrize(
    ('name', 'folder', 'option'),
    [
        (
            'upernet_internimage_l_512x1024_160k_mapillary2cityscapes',
            'data/cityscapes/leftImg8bit/train_extra',
            'train_dataloader.dataset.datasets.1',
        ),
        (
            'segformer_internimage_l_512x1024_80k_mapillary',
            'data/Mapillary/training/images',
            'train_dataloader.dataset.datasets.0',
        ),
    ],
)
def test_missing_data_names_the_folder(
    name: str,
    folder: str,
    option: str,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for part in ('leftImg8bit/train', 'leftImg8bit/val', 'gtFine/train', 'gtFine/val'):
        (tmp_path / 'data' / 'cityscapes' / part).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert main('internimage', ['train', name, '--cfg-options', 'model.backbone.init_cfg=None', 'load_from=None']) == 2
    error = capsys.readouterr().err
    assert f'img_path in {folder},' in error and f'{option}.data_root=FOLDER' in error


def test_a_backbone_that_cannot_be_built_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = write_config(tmp_path / 'tiny.py', tmp_path / 'data', package='internimage')
    cv2.imwrite(str(tmp_path / 'photo.png'), np.zeros((50, 70, 3), np.uint8))
    command = ['predict', str(config), str(tmp_path / 'photo.png'), '--out', str(tmp_path / 'out')]
    options = ['--checkpoint', 'is_read_later.pth', '--cfg-options', 'model.backbone.channels=15']
    assert main('internimage', [*command, *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith('python -m internimage: error: ') and 'channels must be even' in line


def test_train_test_and_predict(tmp_path: Path) -> None:
    config = write_config(tmp_path / 'tiny.py', tmp_path / 'data', drop=0.3, package='internimage')
    trained = run_command('train', config, '--work-dir', 'work', cwd=tmp_path, package='internimage')
    assert trained.returncode == 0, trained.stderr
    checkpoint = tmp_path / 'work' / 'iter_4.pth'

    tested = run_command('test', config, checkpoint, '--work-dir', 'work', cwd=tmp_path, package='internimage')
    assert tested.returncode == 0, tested.stderr
    assert re.search(r'mIoU: +\d', tested.stdout + tested.stderr)

    cv2.imwrite(str(tmp_path / 'photo.png'), np.random.RandomState(0).randint(0, 256, (50, 70, 3)).astype(np.uint8))
    command = ['predict', str(config), str(tmp_path / 'photo.png'), '--device', 'cpu', '--amp', 'bf16']
    assert main('internimage', [*command, '--checkpoint', str(checkpoint), '--out', str(tmp_path / 'out')]) == 0
    labels = cv2.imread(str(tmp_path / 'out' / 'labels' / 'photo.png'), cv2.IMREAD_UNCHANGED)
    assert labels.shape == (50, 70) and labels.max() < 5
