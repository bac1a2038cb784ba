"""Pictures and videos found by file, folder and pattern, and the names that their results get."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError
from ..files import CHECKPOINTS
from .video import is_video

SUFFIXES = frozenset({'.bmp', '.jpeg', '.jpg', '.jp2', '.png', '.ppm', '.pgm', '.tif', '.tiff', '.webp'})


@dataclass(frozen=True)
class FoundImage:
    """A picture, or a video, to segment.

    Attributes:
        path: the file, absolute.
        name: relative path below the folder or pattern that it was found by.
    """

    path: Path
    name: Path


def find_images(arguments: Sequence[str], except_below: Path) -> list[FoundImage]:
    """Find the pictures and videos that the arguments mean, each once.

    Args:
        arguments: files, which are taken whatever their names end in; folders, which are searched for pictures, not
            for videos, at any depth; patterns of :mod:`glob`, in which ``**`` stands for any folders.
        except_below: a folder of results: what lies in it is taken only where it is named as a file.

    Raises:
        ValueError: an argument means no picture, or is a checkpoint.
    """
    found: dict[Path, FoundImage] = {}
    results = Path(os.path.realpath(except_below))
    for argument in arguments:
        if argument.endswith(CHECKPOINTS):
            raise InputError(f'{argument} is a checkpoint, not a picture; say --checkpoint {argument}')
        images = list(_find(argument, results))
        if not images:
            raise InputError(f'no images at {argument!r}: {_why_none(argument, results)}')
        for image in images:
            found.setdefault(image.path, image)
    return list(found.values())


def output_names(images: Sequence[FoundImage]) -> list[str]:
    """Return a path without suffix for the results of every picture, all different.

    A picture keeps its own name, below a searched folder with the folders between. Where two would be the same, they
    get their suffixes, if these differ, or their paths below the folder that all pictures have in common.
    """
    common = os.path.commonpath([image.path.parent for image in images])
    longer_and_longer = [
        (
            image.name.with_suffix('').as_posix(),
            image.name.as_posix(),
            image.path.relative_to(common).with_suffix('').as_posix(),
            image.path.relative_to(common).as_posix(),
        )
        for image in images
    ]
    steps = [0] * len(images)
    while True:
        names = [choices[step] for choices, step in zip(longer_and_longer, steps)]
        # file systems that ignore case must not make one file of two
        count = Counter(name.casefold() for name in names)
        clashing = [i for i, name in enumerate(names) if count[name.casefold()] > 1 and steps[i] < 3]
        if not clashing:
            return names
        for index in clashing:
            steps[index] += 1


def _find(argument: str, results: Path) -> Iterator[FoundImage]:
    path = Path(os.path.abspath(os.path.expanduser(argument)))
    if path.is_dir():
        yield from _search(path, path, results)
    elif path.exists():
        yield FoundImage(path, Path(path.name))
    elif glob.has_magic(argument):
        base = _fixed_part(path)
        for match in sorted(map(Path, glob.glob(os.fspath(path), recursive=True))):
            if match.is_dir() and path.name != '**':
                yield from _search(match, base, results)
            elif (_is_image(match) or (is_video(match) and match.is_file())) and not _is_below(match, results):
                yield FoundImage(match, match.relative_to(base))


def _search(folder: Path, base: Path, results: Path) -> Iterator[FoundImage]:
    """Yield the pictures below a folder, links followed, hidden ones left out, sorted by folder and name."""
    visited = set()
    for parent, folders, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(parent)
        if real in visited or real == os.fspath(results):
            folders.clear()  # a link in a circle, or our own results
            continue
        visited.add(real)
        folders[:] = sorted(each for each in folders if not each.startswith('.'))
        for file in sorted(files):
            path = Path(parent, file)
            if _is_image(path) and not file.startswith('.'):
                yield FoundImage(path, path.relative_to(base))


def _is_image(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()


def _fixed_part(pattern: Path) -> Path:
    """Return the folder before the first part with a wildcard."""
    fixed = [part for part in pattern.parents if not glob.has_magic(os.fspath(part))]
    return fixed[0]


def _is_below(path: Path, folder: Path) -> bool:
    return folder in Path(os.path.realpath(path.parent), path.name).parents


def _why_none(argument: str, results: Path) -> str:
    path = Path(os.path.abspath(os.path.expanduser(argument)))
    if Path(os.path.realpath(_fixed_part(path / '*'))) == results:
        return f'what lies in the folder of the results, {results}, is left out; name another --out'
    if path.is_dir():
        return f'the folder holds no file that ends in {", ".join(sorted(SUFFIXES))}'
    if glob.has_magic(argument):
        return f'the pattern matches no file that ends in {", ".join(sorted(SUFFIXES))}'
    return 'there is no such file or folder'
