"""``download``: what the authors published for a config."""

import argparse
from pathlib import Path

from ...zoo.configs import Configs
from .config_argument import add_config


def add(commands: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    """Add the parser of ``download``."""
    download = commands.add_parser(
        'download',
        help='fetch the published checkpoint of a config, or the weights that its training starts from',
        description='Fetch the checkpoint that the authors published for a config, and print where it is. A download '
        'that broke off goes on where it ended; archives are unpacked.',
        epilog='The environment variable MMSEG_MIRROR does what --mirror does, and HF_ENDPOINT does it for files of '
        'huggingface.co. Without --out files are kept in hub/checkpoints of TORCH_HOME (~/.cache/torch).',
    )
    add_config(download)
    download.add_argument(
        '--pretrained',
        action='store_true',
        help='fetch what training starts from instead, and put it where the config looks for it',
    )
    download.add_argument('--out', metavar='DIR', type=Path, help='folder to put the files into')
    download.add_argument(
        '--mirror',
        metavar='URL',
        help='address that replaces scheme and host of the published one, or a pattern with {url}, {host}, {path} or '
        '{name} in it',
    )
    download.set_defaults(run=_download)


def _download(options: argparse.Namespace, configs: Configs) -> int:
    if not options.pretrained:
        from ...zoo import checkpoint_of

        print(checkpoint_of(configs.package, options.config, folder=options.out, mirror=options.mirror))
        return 0

    from mmengine.config import Config

    from ...zoo.starts import fetch_start_file, start_files

    sources = start_files(Config.fromfile(configs.find(options.config)))
    if not sources:
        print(f'{options.config} starts from random numbers or from weights of timm; there is nothing to download')
    for source in sources:
        print(fetch_start_file(source, configs.package, folder=options.out, mirror=options.mirror))
    return 0
