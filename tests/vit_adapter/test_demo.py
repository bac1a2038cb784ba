"""The demo at a size at which nothing can be learned; `nox -s demo` runs it whole."""

from pathlib import Path

import vit_adapter  # noqa: F401 (first: it prepares OpenMMLab's packages)

import cv2
import pytest
import torch
from mmengine.config import Config

from shared_ops.openmmlab.cli import main
from shared_ops.openmmlab.demo import run
from shared_ops.openmmlab.demo.scenes import CLASSES


def test_too_few_iterations_are_reported_as_a_failure(tmp_path: Path, capsys) -> None:
    out = tmp_path / 'demo'
    assert run('vit_adapter', out, iterations=2, splits={'train': 12, 'val': 3}) == 1
    text = capsys.readouterr().out
    assert 'has NOT learned' in text
    assert 'A classifier that sees the colour of one pixel' in text
    assert 'OneDL' not in text
    for name in ('sheet.png', 'curves.png', 'overlays/0000.png', 'overlays/0002.png'):
        assert cv2.imread(str(out / name)) is not None
    assert str(out / 'sheet.png') in text
    checkpoint = torch.load(out / 'training' / 'iter_2.pth', weights_only=False)
    assert checkpoint['meta']['dataset_meta']['classes'] == CLASSES
    # what it wrote is a config and a data set like any other
    config = Config.fromfile(out / 'demo_config.py')
    assert config.train_cfg.max_iters == 2
    images = str(out / 'data' / 'images' / 'val')
    checkpoint = str(out / 'training' / 'iter_2.pth')
    command = ['predict', str(out / 'demo_config.py'), images, '--checkpoint', checkpoint, '--device', 'cpu']
    assert main('vit_adapter', [*command, '--out', str(tmp_path / 'predicted')]) == 0
    assert '3 of 3 images segmented' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--iterations', '0'], 'iterations is 0; at least 1 is needed'),
        (['--out', 'full'], 'holds files that no demo wrote'),
        (['--out', 'full/file'], 'is a file; name a folder'),
        (['--out', 'full/file/below'], 'cannot be written: Not a directory'),
    ],
)
def test_refusals(options: list[str], message: str, tmp_path: Path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'full').mkdir()
    (tmp_path / 'full' / 'file').touch()
    assert main('vit_adapter', ['demo', *options]) == 2
    assert message in capsys.readouterr().err
    assert [path.name for path in tmp_path.rglob('*')] == ['full', 'file']


def test_other_packages_refuse_and_write_nothing(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r'vit_comer has no demo; run python -m vit_adapter demo'):
        run('vit_comer', tmp_path / 'demo')
    assert not list(tmp_path.iterdir())
