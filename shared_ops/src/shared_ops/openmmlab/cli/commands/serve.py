"""``serve``: a page in the browser to drop pictures on."""

import argparse
import importlib.util
from pathlib import Path

from ....errors import InputError, InstallationError
from ...zoo.configs import Configs
from .config_argument import add_config
from .model_options import add_model_options, check_model_options, load_segmenter

# of an image file: those of cameras are smaller, and a file that is sent by mistake does not fill the memory
_MOST_BYTES = 64 * 2**20


def add(commands: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    """Add the parser of ``serve``."""
    serve = commands.add_parser(
        'serve',
        help='serve a local web page to drop pictures on',
        description='Serve a page that a picture is dropped on, and that shows the classes over it. Nothing leaves '
        'this machine. Ctrl-C ends it.',
    )
    add_config(serve)
    serve.add_argument(
        '--checkpoint', metavar='FILE', help='the weights (default: the published ones, downloaded once)'
    )
    serve.add_argument(
        '--host', default='127.0.0.1', help='0.0.0.0 lets other machines in (default: %(default)s, this one alone)'
    )
    serve.add_argument('--port', type=int, default=8000, help='0 takes a free one (default: %(default)s)')
    add_model_options(serve)
    serve.add_argument(
        '--longest-side',
        metavar='PIXELS',
        type=int,
        default=2048,
        help='larger pictures are made smaller first, which saves memory (default: %(default)s)',
    )
    serve.set_defaults(run=_serve)


def _serve(options: argparse.Namespace, configs: Configs) -> int:
    if importlib.util.find_spec('starlette') is None or importlib.util.find_spec('uvicorn') is None:
        distribution = f'mmseg-{configs.package.replace("_", "-")}'
        raise InstallationError(f'serve needs Starlette and uvicorn: pip install "{distribution}[serve]"')
    if options.longest_side < 1:
        raise InputError(f'--longest-side is {options.longest_side}; at least 1 pixel is needed')
    path = configs.find(options.config)
    from ...serve.app import About
    from ...serve.server import open_socket, run

    check_model_options(options)
    with open_socket(options.host, options.port) as opened:
        segmenter = load_segmenter(options, configs, options.config, options.checkpoint)
        about = About(
            package=configs.package,
            model=path.stem,
            checkpoint=Path(options.checkpoint).name if options.checkpoint else 'the published weights',
            device=str(segmenter.device),
            classes=len(segmenter.classes.names),
            longest_side=options.longest_side,
            most_bytes=_MOST_BYTES,
        )
        return run(opened, segmenter, about)
