"""Trainings of several processes: on two nodes, broken off while a checkpoint is written, resumed, divided."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import vit_adapter  # noqa: F401 (first: it prepares OpenMMLab's packages)

import pytest
import torch

from support.tiny import run_command, write_config

# Kills the process that writes checkpoints when the second one is written but has not got its name yet.
_KILL = """
import os
import signal

if os.environ.get('KILL') == '1':
    calls = []

    def fsync(descriptor):
        calls.append(descriptor)
        if len(calls) == 2:
            os.ftruncate(descriptor, 1000)
            os.kill(os.getpid(), signal.SIGKILL)

    os.fsync = fsync
"""
_OPTIONS = ('--launcher', 'pytorch', '--cfg-options', 'default_hooks.checkpoint.max_keep_ckpts=1')
_PATIENCE = 1200  # seconds after which a training counts as hanging


@pytest.fixture(scope='module')
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A config with stochastic depth and a fixed seed."""
    folder = tmp_path_factory.mktemp('distributed')
    (folder / 'kill.py').write_text(_KILL)
    config = write_config(folder / 'tiny.py', folder / 'data', drop=0.3, imports=('kill',))
    config.write_text(config.read_text() + 'randomness = dict(seed=0)\n')
    return folder


@pytest.fixture(scope='module')
def two_nodes(folder: Path) -> Path:
    """The work folder of a training that nothing disturbed, on two nodes with a process each."""
    with socket.socket() as probe:
        probe.bind(('127.0.0.1', 0))
        endpoint = f'127.0.0.1:{probe.getsockname()[1]}'
    command = [
        sys.executable, '-m', 'torch.distributed.run', '--nnodes=2', '--nproc-per-node=1', '--rdzv-backend=c10d',
        f'--rdzv-endpoint={endpoint}', '--rdzv-id=tiny', '--local-addr=127.0.0.1',
        '-m', 'vit_adapter', 'train', 'tiny.py', '--work-dir', 'nodes', *_OPTIONS,
    ]  # fmt: skip
    environment = {**os.environ, 'CUDA_VISIBLE_DEVICES': '', 'PYTHONPATH': _path(folder)}
    nodes = [
        subprocess.Popen(
            command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for _ in range(2)
    ]
    try:
        logs = [node.communicate(timeout=_PATIENCE)[0] for node in nodes]
    finally:
        for node in nodes:
            node.kill()
    assert [node.returncode for node in nodes] == [0, 0], '\n'.join(logs)
    assert 'SyncBatchNorm layers became BatchNorm layers' in ''.join(logs)
    return folder / 'nodes'


@pytest.fixture(scope='module')
def killed(folder: Path) -> Path:
    """The work folder of a training whose first process was killed while it wrote the second checkpoint."""
    environment = {'PYTHONPATH': _path(folder), 'KILL': '1'}
    arguments = ['train', 'tiny.py', '--work-dir', 'killed', *_OPTIONS]
    result = run_command(*arguments, cwd=folder, processes=2, env=environment, timeout=_PATIENCE)
    assert result.returncode != 0
    assert 'SIGKILL' in result.stderr
    assert (folder / 'killed' / 'iter_4.pth.unfinished').stat().st_size == 1000
    return folder / 'killed'


def _path(folder: Path) -> str:
    return os.pathsep.join(filter(None, [str(folder), os.environ.get('PYTHONPATH')]))


def _checkpoint(work: Path, iteration: int) -> dict:
    return torch.load(work / f'iter_{iteration}.pth', weights_only=False)


def test_what_was_saved_before_outlives_a_kill_and_training_goes_on_from_it(
    folder: Path, two_nodes: Path, killed: Path
) -> None:
    assert [path.name for path in killed.glob('*.pth')] == ['iter_2.pth']
    shutil.copytree(killed, folder / 'resumed')
    arguments = ['train', 'tiny.py', '--work-dir', 'resumed', '--resume', *_OPTIONS]
    result = run_command(*arguments, cwd=folder, processes=2, env={'PYTHONPATH': _path(folder)})
    assert result.returncode == 0, result.stderr
    assert 'resumed epoch: 0, iter: 2' in result.stdout + result.stderr
    assert sorted(path.name for path in (folder / 'resumed').glob('*.pth*')) == ['iter_4.pth']
    resumed, expected = _checkpoint(folder / 'resumed', 4), _checkpoint(two_nodes, 4)
    assert all(torch.equal(resumed['state_dict'][name], value) for name, value in expected['state_dict'].items())


def test_a_training_goes_on_with_divided_weights(folder: Path, two_nodes: Path, killed: Path) -> None:
    """From a checkpoint of DDP, to one that DDP could go on from."""
    shutil.copytree(killed, folder / 'divided')
    strategy = ['runner_type=FlexibleRunner', 'strategy.type=FullyShardStrategy']
    arguments = ['train', 'tiny.py', '--work-dir', 'divided', '--resume', *_OPTIONS, *strategy]
    result = run_command(*arguments, cwd=folder, processes=2, env={'PYTHONPATH': _path(folder)})
    assert result.returncode == 0, result.stderr
    divided, expected = _checkpoint(folder / 'divided', 4), _checkpoint(two_nodes, 4)
    assert list(divided['state_dict']) == list(expected['state_dict'])
    assert divided['optimizer']['param_groups'] == expected['optimizer']['param_groups']
    for name, value in expected['state_dict'].items():
        torch.testing.assert_close(divided['state_dict'][name], value, rtol=0, atol=1e-5, msg=name)
    for number, state in expected['optimizer']['state'].items():
        torch.testing.assert_close(divided['optimizer']['state'][number], state, rtol=1e-3, atol=1e-6)
