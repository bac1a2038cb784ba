"""``new``: a config that trains one of the published models on the user's own data."""

import argparse
from pathlib import Path

from ....errors import FileError, InputError, MissingFileError
from ...zoo.configs import Configs
from .config_argument import add_config


def add(commands: 'argparse._SubParsersAction[argparse.ArgumentParser]') -> None:
    """Add the parser of ``new``."""
    new = commands.add_parser(
        'new',
        help='write a config that trains a model on data of your own',
        description='Write a short config that trains one of the published models on data of your own, '
        'and look through that data as `check` does.',
        epilog='Exit status: 0 if the config was written, 1 if the data has to be mended first, 2 for other errors.',
    )
    add_config(new)
    new.add_argument('file', metavar='FILE', type=Path, help='the config to write, such as my_config.py')
    data = new.add_argument_group('data')
    data.add_argument('--data', metavar='FOLDER', required=True, help='folder that holds pictures and label maps')
    data.add_argument(
        '--classes',
        metavar='FILE',
        type=Path,
        required=True,
        help='text file: a class a line, that of value 0 first; a colour may follow: road 128 64 128',
    )
    for split, what in {'train': 'to learn from', 'val': 'held back'}.items():
        data.add_argument(
            f'--{split}',
            nargs=2,
            metavar=('PICTURES', 'LABELS'),
            default=(f'images/{split}', f'annotations/{split}'),
            help=f'folders of pictures {what} and of their label maps, in FOLDER '
            f'(default: images/{split} annotations/{split})',
        )
    data.add_argument(
        '--ignore', metavar='VALUE', type=int, nargs='+', default=[], help='values that are no class, beside 255'
    )
    data.add_argument('--ignore-zero', action='store_true', help='0 is no class, and the first class has the value 1')
    plan = new.add_argument_group('training')
    plan.add_argument(
        '--crop', metavar='PIXELS', type=int, nargs='+', help="side, or height and width (default: the config's)"
    )
    plan.add_argument(
        '--short-side',
        metavar='PIXELS',
        type=int,
        help="to which pictures are resized (default: in the config's proportion to the crop)",
    )
    plan.add_argument('--batch', type=int, default=2, help='pictures in an iteration on a GPU (default: %(default)s)')
    plan.add_argument(
        '--accumulate', metavar='N', type=int, default=1, help='add up the gradients of N iterations for each update'
    )
    plan.add_argument('--iterations', type=int, help='default: 200 times every picture, at least 1000 iterations')
    plan.add_argument('--learning-rate', type=float, help="default: the config's, scaled to the batch")
    start = plan.add_mutually_exclusive_group()
    start.add_argument(
        '--checkpoint', metavar='FILE', help='weights to start from (default: the published ones, downloaded)'
    )
    start.add_argument(
        '--start',
        choices=('published', 'paper', 'random'),
        default='published',
        help="the model's published checkpoint, what the paper started from (mostly ImageNet), or random numbers",
    )
    new.set_defaults(run=_new)


def _new(options: argparse.Namespace, configs: Configs) -> int:
    from ...own_data.classes import read_classes
    from ...own_data.config import OwnData, Plan, Weights, config_text
    from ...own_data.folders import find_pairs

    file = options.file
    if file.suffix != '.py':
        raise InputError(f'FILE is {file}; a config is a Python file: name it {file.with_suffix(".py")}')
    if file.exists():
        raise FileError(f'{file} exists and is left as it is; name another file, or delete it')
    if options.crop is not None and len(options.crop) > 2:
        raise InputError(f'--crop has {len(options.crop)} numbers; say a side, or height and width')
    if not all(0 <= value <= 255 for value in options.ignore):
        raise InputError(f'--ignore {options.ignore}: label maps hold values from 0 to 255')
    base = configs.find(options.config)
    classes = read_classes(options.classes)
    root = Path(options.data).expanduser()
    pairs = find_pairs(root / options.train[0], root / options.train[1])
    find_pairs(root / options.val[0], root / options.val[1])
    data = OwnData(
        root=root.as_posix(),
        train=tuple(options.train),
        val=tuple(options.val),
        pairs=pairs,
        classes=classes,
        ignored=tuple(options.ignore),
        zero_is_ignored=options.ignore_zero,
    )
    plan = Plan(
        crop=(options.crop[0], options.crop[-1]) if options.crop else None,
        short_side=options.short_side,
        batch=options.batch,
        accumulate=options.accumulate,
        iterations=options.iterations,
        learning_rate=options.learning_rate,
    )
    weights = Weights(_checkpoint(options, configs, base), random=options.start == 'random')
    text = config_text(configs.package, base, configs.folder.absolute(), data, plan, weights)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding='utf-8')

    from .check import report

    try:
        failed = report(file)
    except BaseException:
        file.unlink()
        raise
    if failed:
        file.unlink()  # or it would be in the way of the next try
        print(f'\n{file} was not kept: mend the data, or say what it is like, and run `new` again')
        return 1
    print(
        f'\n{file} trains {base.stem} on {pairs.count} pictures of {len(classes.names)} classes. Read it, change what '
        f'you like, and train: python -m {configs.package} train {file}'
    )
    return 0


def _checkpoint(options: argparse.Namespace, configs: Configs, base: Path) -> str | None:
    """Return the path of the weights to start from, downloaded where they are not here yet."""
    if options.checkpoint is not None:
        checkpoint = Path(options.checkpoint).expanduser()
        if not checkpoint.is_file():
            raise MissingFileError(f'--checkpoint {options.checkpoint} does not exist; name a file')
        return checkpoint.as_posix()
    if options.start != 'published':
        return None
    from ...zoo import checkpoint_of

    return checkpoint_of(configs.package, base.stem).as_posix()
