"""``serve``: a page in the browser to drop pictures on."""

import argparse
import contextlib
import importlib.util
import io
from pathlib import Path

from ..configs import Configs
from .config_argument import add_config


def add(commands: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    """Add the parser of ``serve``."""
    from mmengine.config import DictAction

    serve = commands.add_parser(
        'serve',
        help='open a page in the browser to drop pictures on',
        description='Serve a page that a picture is dropped on, and that shows the classes over it. Nothing leaves '
        'this machine. Ctrl-C ends it.',
    )
    add_config(serve)
    serve.add_argument(
        '--checkpoint', metavar='FILE', help='file with the weights (default: the published ones, which are downloaded)'
    )
    serve.add_argument(
        '--host', default='127.0.0.1', help='0.0.0.0 lets other machines in (default: %(default)s, this one alone)'
    )
    serve.add_argument('--port', type=int, default=8000, help='0 takes a free one (default: %(default)s)')
    serve.add_argument('--device', help='such as cpu, cuda or cuda:1 (default: cuda where there is one)')
    serve.add_argument('--amp', choices=['bf16'], help='compute in mixed precision')
    serve.add_argument(
        '--tta', action='store_true', help="average several views of a picture, as the config's tta says"
    )
    serve.add_argument(
        '--longest-side',
        metavar='PIXELS',
        type=int,
        default=2048,
        help='larger pictures are made smaller first, which saves memory (default: %(default)s)',
    )
    serve.add_argument(
        '--cfg-options',
        metavar='KEY=VALUE',
        nargs='+',
        action=DictAction,
        default={},
        help='settings of the config to change, such as model.test_cfg.mode=whole',
    )
    serve.set_defaults(run=_serve)


def _serve(options: argparse.Namespace, configs: Configs) -> int:
    if importlib.util.find_spec('starlette') is None or importlib.util.find_spec('uvicorn') is None:
        distribution = f'mmseg-{configs.package.replace("_", "-")}'
        raise ImportError(f'serve needs Starlette and uvicorn: pip install "{distribution}[serve]"')
    if options.longest_side < 1:
        raise ValueError(f'--longest-side is {options.longest_side}; at least 1 pixel is needed')
    # MMSegmentation prints debugging lines when it is imported
    with contextlib.redirect_stdout(io.StringIO()):
        import torch

        from ...inference.segmenter import Segmenter
        from ...serve.app import About
        from ...serve.server import open_socket, run

    path = configs.find(options.config)
    with open_socket(options.host, options.port) as opened:
        checkpoint = options.checkpoint or _published(configs.package, options.config)
        segmenter = Segmenter.load(
            path,
            checkpoint,
            device=options.device,
            amp=torch.bfloat16 if options.amp else None,
            tta=options.tta,
            cfg_options=options.cfg_options,
        )
        about = About(
            package=configs.package,
            model=path.stem,
            checkpoint=Path(checkpoint).name,
            device=str(segmenter.device),
            classes=len(segmenter.classes.names),
            longest_side=options.longest_side,
            most_bytes=64 * 2**20,
        )
        return run(opened, segmenter, about)


def _published(package: str, config: str) -> str:
    from ...zoo import checkpoint_of

    return str(checkpoint_of(package, config))
