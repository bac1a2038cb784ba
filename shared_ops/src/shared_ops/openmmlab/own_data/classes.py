"""The list of classes, as the user writes it."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ...errors import InputError, MissingFileError

_COLOR = re.compile(r'^(.*\S)\s+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})$')
# Label maps are read with 8 bits, and 255 marks what is ignored.
_MOST = 255


@dataclass(frozen=True)
class ClassList:
    """Names and colours of classes.

    Attributes:
        names: one for every class; its place is the value in label maps.
        palette: RGB colour of every class, 0 to 255, for pictures of label maps.
    """

    names: list[str]
    palette: list[list[int]]


def read_classes(path: Path) -> ClassList:
    """Read a text file with a class in every line, the one of value 0 first.

    A line is a name, and if wanted a colour: ``road 128 64 128``. Classes without one get a colour of Pascal VOC's
    scheme. Empty lines do not count.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it holds fewer than two classes or more than 255, a name twice, or no possible colour.
    """
    if not path.is_file():
        raise MissingFileError(f'classes file {path} does not exist; write one class a line, that of value 0 first')
    lines = [line.strip() for line in path.read_text(encoding='utf-8-sig').splitlines()]
    names: list[str] = []
    palette: list[list[int]] = []
    for line in filter(None, lines):
        match = _COLOR.match(line)
        color = [int(number) for number in match.groups()[1:]] if match else _voc_color(len(names) + 1)
        if max(color) > 255:
            raise InputError(f'classes file {path}: {line!r} has the colour {color}, but 255 is the largest value')
        names.append(match.group(1) if match else line)
        palette.append(color)
    if not 2 <= len(names) <= _MOST:
        raise InputError(
            f'classes file {path} holds {len(names)} classes, one a line; 2 to {_MOST} are possible (what is not to be '
            f'found, the background, is a class too, unless it is ignored)'
        )
    doubled = [name for name, count in Counter(names).items() if count > 1]
    if doubled:
        raise InputError(f'classes file {path} holds {", ".join(doubled)} more than once; every class needs its name')
    return ClassList(names, palette)


def _voc_color(index: int) -> list[int]:
    """Return the colour that Pascal VOC's label maps have for a number: its bits, spread over the high ones of RGB."""
    color = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            color[channel] |= (index >> (3 * place + channel) & 1) << (7 - place)
    return color
