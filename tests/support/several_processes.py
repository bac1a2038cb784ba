"""What two processes compute together beside what one does, for a small model of any of the packages.

Run as ``python several_processes.py CONFIG FOLDER PACKAGE``: it imports the package once and forks two processes, which
write what they found into ``FOLDER/report.json``.
"""

import copy
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed
import torch.multiprocessing
from torch import nn

SIZE = 64
# enough classes for the configs of support.tiny and support.tiny_mask2former
CLASSES = 4
# seconds after which the processes count as waiting for one another forever
_PATIENCE = 1200


def check_two_processes(config: Path, folder: Path, package: str) -> None:
    """Assert that losses, weights and moments are those of one process, and that a saved state goes on.

    Args:
        config: of a small model.
        folder: for what the processes write.
        package: whose model it is.
    """
    report = _run(config, folder, package)
    expected = report['losses']
    for kind in ('ddp', 'sharded'):
        assert report[f'{kind}_losses'] == pytest.approx(expected, rel=1e-10)
        assert report[f'{kind}_weights'] < 1e-9
    assert report['sharded_moments'] < 1e-12
    assert 0.45 < report['part'] < 0.55
    assert report['resumed_losses'] == pytest.approx(report['continued_losses'], rel=1e-10)
    # bfloat16 has 8 bits; the weights stay in float32
    assert report['half_losses'] == pytest.approx(expected[:1], rel=0.02)
    assert report['half_losses'] != pytest.approx(expected[:1], rel=1e-6)
    assert 'torch.bfloat16' not in report['half_types']


def _run(config: Path, folder: Path, package: str) -> dict[str, Any]:
    command = [sys.executable, __file__, str(config), str(folder), package]
    path = os.pathsep.join([str(Path(__file__).parent.parent), *sys.path])
    environment = {**os.environ, 'PYTHONPATH': path, 'CUDA_VISIBLE_DEVICES': '', 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return json.loads((folder / 'report.json').read_text())


def build_model(config: Path) -> nn.Module:
    """Build the model in float64, whose sums hardly depend on their order, with batch norms that do not learn."""
    from mmengine.model import revert_sync_batchnorm

    from support.tiny import build

    torch.manual_seed(0)
    model = revert_sync_batchnorm(build(config))
    model.init_weights()
    generator = torch.Generator().manual_seed(1)
    for parameter in model.parameters():  # what starts at zero would hide what lies behind it
        parameter.data += 0.05 * torch.randn(parameter.shape, generator=generator)
    for module in model.modules():
        if isinstance(module, nn.modules.batchnorm._BatchNorm):
            module.eval()
    return model.double()


class Batch:
    """Two random pictures with labels."""

    def __init__(self) -> None:
        generator = torch.Generator().manual_seed(2)
        self.images = torch.randn(2, 3, SIZE, SIZE, generator=generator, dtype=torch.float64)
        self.labels = torch.randint(0, CLASSES, (2, 1, SIZE, SIZE), generator=generator)

    def loss(self, model: nn.Module, which: list[int]) -> torch.Tensor:
        """Return the sum of the losses of some of the pictures, of which a wrapper is asked as MMEngine does."""
        from mmengine.structures import PixelData
        from mmseg.structures import SegDataSample

        shape = dict(img_shape=(SIZE, SIZE), pad_shape=(SIZE, SIZE), ori_shape=(SIZE, SIZE))
        samples = [SegDataSample(gt_sem_seg=PixelData(data=self.labels[i]), metainfo=shape) for i in which]
        torch.manual_seed(3 + which[0])  # Mask2Former draws points
        losses = model(self.images[which], samples, mode='loss')
        return getattr(model, 'module', model).parse_losses(losses)[0]


def _optimizer(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), lr=1e-2)


def _one_process(model: nn.Module, batch: Batch, steps: int) -> tuple[list[float], torch.optim.Optimizer]:
    """Train on the mean of the two pictures' losses."""
    optimizer, means = _optimizer(model), []
    for _ in range(steps):
        losses = [batch.loss(model, [which]) for which in range(2)]
        mean = sum(losses) / 2
        mean.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        means.append(float(mean))
    return means, optimizer


def _two_processes(
    model: nn.Module, batch: Batch, steps: int, optimizer: torch.optim.Optimizer | None = None
) -> tuple[list[float], torch.optim.Optimizer]:
    """Train on one picture in each process."""
    optimizer, means = optimizer or _optimizer(model), []
    for _ in range(steps):
        loss = batch.loss(model, [torch.distributed.get_rank()])
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        mean = loss.detach().clone()
        torch.distributed.all_reduce(mean)
        means.append(float(mean) / 2)
    return means, optimizer


def _difference(first: dict[str, Any], second: dict[str, Any]) -> float:
    """Return the largest difference of floating point tensors, which have to have the same names."""
    assert list(first) == list(second), sorted(first.keys() ^ second.keys())
    return max(
        float((first[name].double() - second[name].double()).abs().max())
        for name in first
        if first[name].is_floating_point()
    )


def _compare(rank: int, config: Path, folder: Path) -> dict[str, Any]:
    from shared_ops.openmmlab.distributed import CPUDistributedDataParallel
    from shared_ops.openmmlab.sharding import full_optimizer_state, full_state, load_full_optimizer_state, shard

    batch, start = Batch(), build_model(config)
    alone = copy.deepcopy(start)
    losses, optimizer = _one_process(alone, batch, 2)
    expected = alone.state_dict()
    report: dict[str, Any] = {'losses': losses}

    wrapped = CPUDistributedDataParallel(copy.deepcopy(start), find_unused_parameters=True)
    report['ddp_losses'] = _two_processes(wrapped, batch, 2)[0]
    report['ddp_weights'] = _difference(wrapped.module.state_dict(), expected)

    sharded = shard(copy.deepcopy(start))
    report['sharded_losses'], sharded_optimizer = _two_processes(sharded, batch, 2)
    state = full_state(sharded)
    optimizer_state = full_optimizer_state(sharded_optimizer.state_dict())
    own = sum(parameter.to_local().numel() for parameter in sharded.parameters())
    report['part'] = own / sum(parameter.numel() for parameter in sharded.parameters())
    if rank == 0:
        report['sharded_weights'] = _difference(state, expected)
        moments = optimizer.state_dict()['state'], optimizer_state['state']
        report['sharded_moments'] = max(
            float((alone_[name] - own_[name]).abs().max()) for alone_, own_ in zip(*map(dict.values, moments))
            for name in alone_
        )  # fmt: skip
        torch.save({'state_dict': state, 'optimizer': optimizer_state}, folder / 'sharded.pth')
    torch.distributed.barrier()

    # what was saved goes on in a model that is divided anew, and computes activations again in the backward
    saved = torch.load(folder / 'sharded.pth')
    resumed = shard(copy.deepcopy(start))
    for module in resumed.modules():
        if hasattr(module, 'with_cp'):
            module.with_cp = True
    resumed.load_state_dict(saved['state_dict'])
    resumed_optimizer = _optimizer(resumed)
    resumed_optimizer.load_state_dict(load_full_optimizer_state(resumed_optimizer, saved['optimizer']))
    report['resumed_losses'] = _two_processes(resumed, batch, 2, resumed_optimizer)[0]
    report['continued_losses'] = _two_processes(sharded, batch, 2, sharded_optimizer)[0]

    half = shard(copy.deepcopy(start).float(), param_dtype=torch.bfloat16)
    batch.images = batch.images.float()
    report['half_losses'], _ = _two_processes(half, batch, 1)
    report['half_types'] = sorted({str(value.dtype) for value in half.state_dict().values()})
    return report


def _process(rank: int, config: Path, folder: Path) -> None:
    torch.distributed.init_process_group('gloo', init_method=f'file://{folder}/meeting', rank=rank, world_size=2)
    report = _compare(rank, config, folder)
    if rank == 0:
        (folder / 'report.json').write_text(json.dumps(report))
    torch.distributed.destroy_process_group()


if __name__ == '__main__':
    importlib.import_module(sys.argv[3])
    torch.multiprocessing.start_processes(
        _process, (Path(sys.argv[1]), Path(sys.argv[2])), nprocs=2, start_method='fork'
    )
