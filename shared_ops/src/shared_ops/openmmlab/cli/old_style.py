"""Options and configs of MMSegmentation 0.x, with which the originals work, and what they are called today."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mmengine.config import Config

from ...errors import InputError

# Options of the originals' train.py and test.py that MMSegmentation 1.x does not have.
OPTIONS = {
    'train': {
        '--load-from': '--cfg-options load_from=FILE',
        '--resume-from': '--resume --cfg-options load_from=FILE',
        '--auto-resume': '--resume',
        '--no-validate': '--cfg-options train_cfg.val_interval=1000000',
        '--gpus': 'torchrun --nproc-per-node N, and --launcher pytorch',
        '--gpu-ids': 'the variable CUDA_VISIBLE_DEVICES',
        '--seed': '--cfg-options randomness.seed=N',
        '--deterministic': '--cfg-options randomness.deterministic=True',
        '--options': '--cfg-options',
    },
    'test': {
        '--aug-test': '--tta',
        '--eval': 'nothing: the config says what is measured, in test_evaluator.iou_metrics',
        '--eval-options': '--cfg-options test_evaluator.KEY=VALUE',
        '--format-only': '--cfg-options test_evaluator.format_only=True test_evaluator.output_dir=DIR',
        '--gpu-collect': '--cfg-options test_evaluator.collect_device=gpu',
        '--tmpdir': 'nothing: results are exchanged through the folder .dist_test',
        '--opacity': '--cfg-options visualizer.alpha=0.5',
        '--options': '--cfg-options',
    },
}
# Settings at the top of a config that MMSegmentation 1.x does not read.
SETTINGS = {
    'data': 'train_dataloader, val_dataloader and test_dataloader',
    'optimizer': 'optim_wrapper.optimizer',
    'optimizer_config': 'optim_wrapper',
    'lr_config': 'param_scheduler',
    'runner': 'train_cfg',
    'checkpoint_config': 'default_hooks.checkpoint',
    'evaluation': 'val_evaluator, train_cfg.val_interval and default_hooks.checkpoint.save_best',
    'log_config': 'default_hooks.logger and vis_backends',
    'fp16': "optim_wrapper.type='AmpOptimWrapper'",
    'resume_from': 'load_from with resume=True',
    'workflow': 'train_cfg.val_interval',
    'dist_params': 'env_cfg.dist_cfg',
    'cudnn_benchmark': 'env_cfg.cudnn_benchmark',
}


def refuse_old_options(command: str, arguments: Sequence[str]) -> None:
    """Refuse options that MMSegmentation 1.x has dropped, and say what does the same now.

    Args:
        command: ``'train'`` or ``'test'``.
        arguments: those of the command.

    Raises:
        ValueError: there is such an option.

    Example:
        >>> refuse_old_options('test', ['model.pth', '--aug-test'])
        Traceback (most recent call last):
        shared_ops.errors.InputError: test has no --aug-test, an option of MMSegmentation 0.x: instead of --aug-test
        use --tta
    """
    known = OPTIONS[command]
    given = [argument.partition('=')[0] for argument in arguments]
    found = [option for option in dict.fromkeys(given) if option in known]
    if found:
        listing = '; '.join(f'instead of {option} use {known[option]}' for option in found)
        raise InputError(f'{command} has no {", ".join(found)}, an option of MMSegmentation 0.x: {listing}')


def refuse_old_config(config: Config, path: Path) -> None:
    """Refuse a config of MMSegmentation 0.x, and say where its settings went.

    Args:
        config: the config.
        path: where it lies, for the message.

    Raises:
        ValueError: it has settings that are read no more, and not those that replace the most important of them.
    """
    found = [name for name in SETTINGS if name in config]
    if found and not {'optim_wrapper', 'test_dataloader'} & set(config):
        listing = '; '.join(f'{name} became {SETTINGS[name]}' for name in found)
        raise InputError(
            f'config {path} is one of MMSegmentation 0.x: {listing}. Take the config of the same name that `ls` lists, '
            f'or change these settings'
        )
