"""Two processes on the CPU compute what one does."""

from pathlib import Path

import vit_adapter  # noqa: F401 (first: it prepares OpenMMLab's packages)

import torch

from shared_ops.openmmlab.cli import main
from support.tiny import run_command, write_config

# Freezes batch norm, which sees other pictures in every process, and keeps the gradients of the first step.
_HOOK = """
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmseg.registry import HOOKS


@HOOKS.register_module()
class SaveGradients(Hook):
    def __init__(self, path):
        self.path = path

    def before_train(self, runner):
        def save(optimizer, args, kwargs):
            model = getattr(runner.model, 'module', runner.model)
            gradients = {name: value.grad for name, value in model.named_parameters() if value.grad is not None}
            torch.save(gradients, f'{self.path}_{get_rank()}.pth')

        runner.optim_wrapper.optimizer.register_step_pre_hook(save)

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        for module in runner.model.modules():
            if isinstance(module, torch.nn.modules.batchnorm._BatchNorm):
                module.eval()
"""


def arguments(config: Path, name: str, batch_size: int) -> list[str]:
    """Return the arguments that train one step and write the gradients into files that begin with ``name``."""
    options = [f'train_dataloader.batch_size={batch_size}', 'train_cfg.max_iters=1', 'randomness.seed=0']
    hook = ['custom_hooks.0.type=SaveGradients', f'custom_hooks.0.path={name}']
    return ['train', str(config), '--work-dir', f'work_{name}', '--cfg-options', *options, *hook]


def test_gradients_of_two_processes_are_those_of_one(tmp_path: Path, monkeypatch) -> None:
    (tmp_path / 'save_gradients.py').write_text(_HOOK)
    config = write_config(tmp_path / 'tiny.py', tmp_path / 'data', imports=('save_gradients',))
    result = run_command(
        *arguments(config, 'together', batch_size=1), '--launcher', 'pytorch',
        cwd=tmp_path, processes=2, env={'PYTHONPATH': str(tmp_path)},
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert 'SyncBatchNorm layers became BatchNorm layers' in result.stdout + result.stderr

    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv('LOCAL_RANK', '0')  # the tools set it
    monkeypatch.setattr('mmengine.device.utils.DEVICE', 'cpu')
    assert main('vit_adapter', arguments(config, 'alone', batch_size=2)) == 0

    first, second, alone = (torch.load(f'{name}.pth') for name in ('together_0', 'together_1', 'alone_0'))
    assert first.keys() == second.keys() == alone.keys()
    assert len(alone) > 100
    scale = max(gradient.abs().max() for gradient in alone.values())
    for name, expected in alone.items():
        assert torch.equal(first[name], second[name])
        torch.testing.assert_close(first[name], expected, rtol=1e-3, atol=1e-6 * float(scale), msg=name)
