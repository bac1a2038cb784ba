"""``train`` and ``test``: MMSegmentation's own tools, given a config by name."""

from __future__ import annotations

import argparse
import contextlib
import os
import runpy
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import mmseg
from mmengine.config import Config, DictAction
from mmengine.device import get_device

from ...errors import InputError, MissingFileError
from ..data_folders import check_data
from ..distributed import cpu_process_group, wrapper_options
from ..files import CHECKPOINTS
from ..zoo.checkpoints import checkpoint_of
from ..zoo.configs import Configs
from ..zoo.starts import missing_start_files, published_address
from .old_style import refuse_old_config, refuse_old_options
from .out_of_memory import advice_when_out_of_memory
from .tensorboard import with_tensorboard

# Which data loaders of the config a tool reads from.
_LOADERS = {'train': ('train_dataloader', 'val_dataloader'), 'test': ('test_dataloader',)}
_HELP = {
    'train': '--tensorboard, which is not among the options below, logs for TensorBoard as well.\n',
    'test': 'Without a checkpoint the one that was published for the config is tested, downloaded if need be.\n'
    'A config whose test_cfg is an AugmentedTestLoop, as in those named _ms, averages several views of every '
    'picture with and without --tta.\n',
}


def run_tool(command: str, arguments: Sequence[str], configs: Configs) -> int:
    """Run MMSegmentation's ``tools/train.py`` or ``tools/test.py``.

    Several processes on a machine without GPU, which MMEngine does not provide for, are set up first.

    Args:
        command: ``'train'`` or ``'test'``.
        arguments: the config's name, then the arguments of the tool.
        configs: where the name is looked up.

    Raises:
        ValueError: the config is not known, or an option asks for what this machine cannot do.
        FileNotFoundError: a folder of the data set is missing.
        MemoryError: a training does not fit into memory; the message says what to do.
    """
    program = f'python -m {configs.package} {command}'
    tool = _tools_folder() / f'{command}.py'
    if not arguments or arguments[0] in ('-h', '--help'):
        print(f'{program} CONFIG ... finds CONFIG by the name that `ls` prints, and hands all to {tool}.')
        print(_HELP[command])
        _run(tool, [program, '--help'])
        return 0
    if arguments[0].startswith('-'):
        raise InputError(f'{command} needs the config first, but got {arguments[0]!r}: {program} CONFIG [options]')

    name, rest = arguments[0], arguments[1:]
    path = configs.find(name)
    refuse_old_options(command, rest)
    options = _option_parser().parse_known_args(rest)[0]
    config = _read_config(path, options)
    _check(command, config, options, program)
    if command == 'train':
        _check_start(config, configs.package, name, resume='--resume' in rest)

    with contextlib.ExitStack() as around:
        if command == 'train':
            around.enter_context(advice_when_out_of_memory(_with_amp(config, options)))
            if options.tensorboard:
                path = with_tensorboard(path, Path(around.enter_context(tempfile.TemporaryDirectory())))
                rest = [argument for argument in rest if argument != '--tensorboard']
        elif not _names_checkpoint(rest):
            rest = [str(checkpoint_of(configs.package, name)), *rest]
        if options.launcher == 'pytorch' and get_device() == 'cpu':
            rest = [*rest, '--cfg-options', *(f'{key}={value}' for key, value in wrapper_options(config).items())]
            around.enter_context(cpu_process_group())
        _run(tool, [program, str(path), *rest])
    return 0


def _read_config(path: Path, options: argparse.Namespace) -> Config:
    """Return the config as the tool will see it."""
    config = Config.fromfile(path)
    refuse_old_config(config, path)
    config.merge_from_dict(options.cfg_options)
    return config


def _with_amp(config: Config, options: argparse.Namespace) -> Config:
    if options.amp:  # so does MMSegmentation's tool
        config.optim_wrapper.type = 'AmpOptimWrapper'
    return config


def _check(command: str, config: Config, options: argparse.Namespace, program: str) -> None:
    """Find out what would fail later, before a model is built."""
    if command == 'train':
        _check_precision(options, config)
    _check_launcher(options.launcher, program)
    for loader in _LOADERS[command]:
        check_data(config, loader)


def _check_start(config: Config, package: str, name: str, *, resume: bool) -> None:
    for source in missing_start_files(config):
        if resume and source == config.load_from:  # the resumed checkpoint takes its place
            continue
        if published_address(Path(source).name, package):
            raise MissingFileError(
                f'{source}, which the training starts from, does not exist; `python -m {package} download {name} '
                f'--pretrained` fetches it. --cfg-options model.pretrained=None load_from=None starts from random '
                f'numbers'
            )


def _names_checkpoint(arguments: Sequence[str]) -> bool:
    """Tell whether the arguments after the config name a file to test, which may stand behind options."""
    if not arguments:
        return False
    return not arguments[0].startswith('-') or any(each.endswith(CHECKPOINTS) for each in arguments)


def _tools_folder() -> Path:
    package = Path(mmseg.__path__[0])
    # installed, or a checkout of MMSegmentation
    candidates = [package / '.mim' / 'tools', package.parent / 'tools']
    for folder in candidates:
        if (folder / 'train.py').is_file():
            return folder
    raise MissingFileError(
        f'the tools of MMSegmentation are in none of {", ".join(map(str, candidates))}; install it anew'
    )


def _option_parser() -> argparse.ArgumentParser:
    """Return a parser of those options of the tools that matter before they run."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument('--launcher', default='none')
    parser.add_argument('--amp', action='store_true')
    parser.add_argument('--tensorboard', action='store_true')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction, default={})
    return parser


def _check_precision(options: argparse.Namespace, config: Config) -> None:
    if get_device() not in ('cpu', 'mps'):
        return
    if options.amp or config.optim_wrapper.type == 'AmpOptimWrapper':
        source = '--amp was given' if options.amp else "the config's optim_wrapper is AmpOptimWrapper"
        raise InputError(
            f'{source}, but MMEngine trains in mixed precision on a GPU only and this machine has none; train '
            f'without it, or in bfloat16: --cfg-options optim_wrapper.type=Bfloat16OptimWrapper'
        )


def _check_launcher(launcher: str, program: str) -> None:
    processes = int(os.environ.get('WORLD_SIZE', '1'))
    if processes > 1 and launcher == 'none' and 'TORCHELASTIC_RUN_ID' in os.environ:
        raise InputError(
            f'torchrun started {processes} processes, but --launcher is none, so that each would do all of the work; '
            f'say: {program} CONFIG --launcher pytorch'
        )


def _run(tool: Path, arguments: list[str]) -> None:
    with _process_arguments(arguments):
        runpy.run_path(str(tool), run_name='__main__')


@contextlib.contextmanager
def _process_arguments(arguments: list[str]) -> Iterator[None]:
    before = sys.argv
    sys.argv = arguments
    try:
        yield
    finally:
        sys.argv = before
