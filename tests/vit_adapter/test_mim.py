"""``mim train mmsegmentation`` and ``mim test mmsegmentation``, as OpenMMLab documents them."""

import os
import re
import subprocess
import sys
from pathlib import Path

import vit_adapter  # noqa: F401 (first: it prepares OpenMMLab's packages)

import pytest

from support.tiny import write_config

pytestmark = pytest.mark.needs_mim


def mim(*arguments: object, cwd: Path) -> str:
    """Run ``mim`` and return what it printed; a question, as to install something, is an error."""
    command = [Path(sys.executable).with_name('mim'), *map(str, arguments)]
    result = subprocess.run(
        command, cwd=cwd, env={**os.environ, 'CUDA_VISIBLE_DEVICES': ''},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout
    return result.stdout


def test_train_and_test(tmp_path: Path) -> None:
    config = write_config(tmp_path / 'tiny.py', tmp_path / 'data')
    printed = mim(
        'train', 'mmsegmentation', config, '--work-dir', 'work', '--cfg-options', 'train_cfg.max_iters=2', cwd=tmp_path
    )
    assert 'Iter(train) [2/2]' in printed
    checkpoint = tmp_path / 'work' / 'iter_2.pth'
    printed = mim('test', 'mmsegmentation', config, '--checkpoint', checkpoint, '--work-dir', 'work', cwd=tmp_path)
    assert f'Load checkpoint from {checkpoint}' in printed
    assert re.search(r'mIoU: +\d', printed)
