"""Who may import whom, read from all imports: relative ones, those in functions and under TYPE_CHECKING too."""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = {path.name: path / 'src' for path in sorted((ROOT / 'packages').iterdir())}
# import name: the folder that it lies in
SOURCES = {'shared_ops': ROOT / 'shared_ops' / 'src', **PACKAGES}


@dataclass(frozen=True)
class Room:
    """Files that belong together, and what they may import besides the standard library and each other.

    Args:
        files: folders, which end in ``/``, and patterns of files, below the source folder.
        rooms: the other rooms of ours.
        others: prefixes of what others wrote.
    """

    files: tuple[str, ...]
    rooms: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    def holds(self, file: str) -> bool:
        return any(file.startswith(each) if each[-1] == '/' else PurePosixPath(file).match(each) for each in self.files)


def _openmmlab(*names: str) -> tuple[str, ...]:
    return tuple(f'shared_ops/openmmlab/{name}' for name in names)


# from the ground up: a room imports from those before it
ROOMS = {
    'errors': Room(('shared_ops/errors.py',)),
    'operators': Room(('shared_ops/*.py',), ('errors',), ('torch',)),
    'vit': Room(('shared_ops/vit/',), ('errors', 'operators'), ('torch', 'timm.layers')),
    'files': Room(_openmmlab('files.py')),
    'memory': Room(_openmmlab('memory.py'), (), ('torch',)),
    'messages': Room(_openmmlab('messages.py')),
    'installation': Room(_openmmlab('compiled_ops.py', 'installation.py'), ('errors',)),
    'zoo': Room(_openmmlab('zoo/'), ('errors', 'files'), ('torch', 'mmengine', 'filelock', 'rich')),
    'checkpoints': Room(
        _openmmlab(
            'beit_pretrained.py', 'checkpoint.py', 'checkpoint_files.py', 'checkpoint_hook.py', 'pretrained.py',
            'resume.py', 'safe_checkpoint_hook.py',
        ),
        ('errors', 'files', 'memory', 'messages', 'zoo'),
        ('torch', 'mmengine', 'mmseg', 'timm', 'numpy', 'scipy'),
    ),
    'sharding': Room(_openmmlab('sharding/'), ('errors', 'checkpoints'), ('torch', 'mmengine')),
    'curves': Room(_openmmlab('curves/'), ('errors', 'files'), ('mmengine', 'mmseg', 'numpy', 'matplotlib')),
    'training': Room(
        _openmmlab('bfloat16.py', 'distributed.py', 'layer_decay.py'), ('errors',), ('torch', 'mmengine', 'mmseg')
    ),
    'evaluation': Room(
        _openmmlab('augmented_test.py', 'segmentors.py'), ('errors', 'checkpoints'), ('torch', 'mmengine', 'mmseg')
    ),
    'datasets': Room(
        _openmmlab('data_folders.py', 'datasets.py', 'transforms.py'),
        ('errors',),
        ('mmengine', 'mmcv', 'mmseg', 'numpy'),
    ),
    'own_data': Room(_openmmlab('own_data/'), ('errors', 'datasets'), ('mmengine', 'mmcv', 'mmseg', 'numpy', 'PIL')),
    'prepare': Room(
        _openmmlab('__init__.py', 'prepare.py'),
        ('installation', 'checkpoints', 'sharding', 'curves', 'training', 'evaluation', 'datasets', 'own_data'),
    ),
    'mask2former': Room(
        _openmmlab('mask2former/'),
        ('errors', 'operators', 'prepare'),
        ('torch', 'mmengine', 'mmseg', 'mmdet', 'scipy'),
    ),
    'inference': Room(
        _openmmlab('inference/'),
        ('errors', 'files', 'memory', 'messages'),
        ('torch', 'mmengine', 'mmcv', 'mmseg', 'numpy', 'cv2', 'matplotlib', 'rich'),
    ),
    'serve': Room(
        _openmmlab('serve/'),
        ('errors', 'memory', 'messages', 'inference'),
        ('torch', 'mmcv', 'numpy', 'cv2', 'PIL', 'rich', 'starlette', 'uvicorn'),
    ),
    'demo': Room(
        _openmmlab('demo/'), ('errors',), ('torch', 'mmengine', 'mmseg', 'numpy', 'cv2', 'matplotlib', 'rich')
    ),
    'cli': Room(
        _openmmlab('cli/'),
        (
            'errors', 'files', 'memory', 'zoo', 'curves', 'training', 'datasets', 'own_data', 'inference', 'serve',
            'demo',
        ),
        ('torch', 'mmengine', 'mmseg', 'numpy', 'cv2', 'rich'),
    ),
}  # fmt: skip
for _package in PACKAGES:
    ROOMS[f'{_package}.__main__'] = Room((f'{_package}/__main__.py',), ('cli',))
    ROOMS[_package] = Room(
        (f'{_package}/',),
        ('errors', 'operators', 'vit', 'checkpoints', 'training', 'prepare'),
        ('torch', 'timm', 'mmengine', 'mmseg.registry', 'mmseg.datasets', 'mmcv.transforms'),
    )


def _files() -> dict[str, Path]:
    """Return every source file, by its path below the source folder."""
    found = {}
    for name, source in SOURCES.items():
        for path in sorted((source / name).rglob('*.py')):
            file = path.relative_to(source)
            if file.parts[1] != 'configs':  # a link to configs/, which are read and not imported
                found[file.as_posix()] = path
    return found


FILES = _files()


@functools.cache
def room_of(file: str) -> str | None:
    """Return the first room that holds a file, since the row of one file may precede that of its folder."""
    return next((name for name, room in ROOMS.items() if room.holds(file)), None)


def imports_of(file: str, text: str) -> Iterator[tuple[int, str]]:
    """Yield line and full name of whatever a file imports, wherever the statement stands."""
    package = file.split('/')[:-1]
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = package[: len(package) + 1 - node.level] if node.level else []
            module = [*start, *(node.module.split('.') if node.module else [])]
            yield from ((node.lineno, '.'.join([*module, alias.name])) for alias in node.names)


def file_of(name: str) -> str:
    """Return the file of ours that an imported name is, or stands in."""
    parts = name.split('.')
    for end in range(len(parts), 0, -1):
        module = '/'.join(parts[:end])
        for file in (f'{module}.py', f'{module}/__init__.py'):
            if file in FILES:
                return file
    raise AssertionError(f'{name} is nowhere')


def violations(file: str, text: str) -> dict[int, str]:
    """Return the lines of a file with imports that its room must not have, and what is wrong with them."""
    own = room_of(file)
    assert own is not None, f'{file} belongs to no room: give it a row in ROOMS'
    found = {}
    for line, name in imports_of(file, text):
        top = name.split('.')[0]
        if top in SOURCES:
            room = room_of(file_of(name))
            allowed = room == own or room in ROOMS[own].rooms
        else:
            room = 'others'
            prefixes = ROOMS[own].others
            allowed = top in sys.stdlib_module_names or any(f'{name}.'.startswith(f'{each}.') for each in prefixes)
        if not allowed:
            found[line] = f'{file}:{line} in {own} imports {name} of {room}; {own} may import {ROOMS[own]}'
    return found


def read(file: str) -> str:
    return FILES[file].read_text(encoding='utf-8')


@pytest.mark.parametrize('file', FILES)
def test_a_room_imports_only_what_it_may(file: str) -> None:
    assert not violations(file, read(file))


def test_no_arrow_runs_up() -> None:
    names = list(ROOMS)
    for index, room in enumerate(ROOMS.values()):
        assert set(room.rooms) <= set(names[:index])


def test_nothing_is_allowed_that_nobody_needs() -> None:
    """A row that allows too much is a wall with a hole."""
    rooms: dict[str, set[str]] = {name: set() for name in ROOMS}
    others: dict[str, set[str]] = {name: set() for name in ROOMS}
    for file in FILES:
        own = room_of(file)
        for _, name in imports_of(file, read(file)):
            if name.split('.')[0] in SOURCES:
                rooms[own].add(room_of(file_of(name)))
            else:
                others[own] |= {each for each in ROOMS[own].others if f'{name}.'.startswith(f'{each}.')}
    shared = {name: room for name, room in ROOMS.items() if name not in PACKAGES}  # packages have one row for all
    assert {name: rooms[name] - {name} for name in shared} == {name: set(room.rooms) for name, room in shared.items()}
    assert {name: others[name] for name in shared} == {name: set(room.others) for name, room in shared.items()}


def statements(file: str, name: str) -> list[str]:
    """Return every way in which a file can import a module."""
    parent, _, leaf = name.rpartition('.')
    ways = [f'import {name}', f'from {name} import anything', f'from {name} import *']
    if parent:
        ways.append(f'from {parent} import {leaf}')
    package, target = file.split('/')[:-1], name.split('.')
    common = 0
    while common < min(len(package), len(target)) and package[common] == target[common]:
        common += 1
    if common:  # within one distribution
        dots, below = '.' * (len(package) - common + 1), target[common:]
        ways.append(f'from {dots}{".".join(below)} import anything')
        if below:
            ways.append(f'from {dots}{".".join(below[:-1])} import {below[-1]}')
    return ways


WALLS = [(own, other) for own in ROOMS for other in ROOMS if other != own and other not in ROOMS[own].rooms]


def deepest(room: str) -> str:
    """Return the file of a room from which relative imports take the most dots."""
    return max((file for file in FILES if room_of(file) == room), key=lambda file: file.count('/'))


@pytest.mark.parametrize(('own', 'other'), WALLS, ids=[f'{own}-{other}' for own, other in WALLS])
def test_a_hole_in_a_wall_is_seen(own: str, other: str) -> None:
    """Forbidden imports are written into a copy of a file: at its end, for types alone, and in a function."""
    file, target = deepest(own), deepest(other)
    name = target.removesuffix('.py').removesuffix('/__init__').replace('/', '.')
    lines = read(file).splitlines()
    holes = {}
    for statement in statements(file, name):
        starts = ['', 'if TYPE_CHECKING: ']
        if '*' not in statement:  # which Python forbids in a function
            starts.append('def function(): ')
        for start in starts:
            lines.append(start + statement)
            holes[len(lines)] = lines[-1]
    found = violations(file, '\n'.join(lines))
    assert not [hole for line, hole in holes.items() if line not in found]


@pytest.mark.parametrize('own', ROOMS)
def test_what_others_wrote_is_seen(own: str) -> None:
    file = deepest(own)
    foreign = {other for room in ROOMS.values() for other in (*room.others, 'pandas')} - set(ROOMS[own].others)
    for name in foreign:
        if not name.startswith(tuple(f'{each}.' for each in ROOMS[own].others)):
            assert violations(file, f'{read(file)}\ndef function():\n    import {name}\n'), name
