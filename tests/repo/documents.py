"""What the Markdown files of the repository hold: code blocks, headings, links. Needs the standard library alone."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = ROOT / '.github' / 'docs'
CHINESE = PAGES / 'README_zh-CN.md'
READMES = [
    ROOT / 'README.md',
    ROOT / 'shared_ops' / 'README.md',
    ROOT / 'packages' / 'vit_adapter' / 'README.md',
    ROOT / 'packages' / 'vit_comer' / 'README.md',
    ROOT / 'packages' / 'internimage' / 'README.md',
]
# Those that say something of GPUs or CUDA, which a test compares with their texts. The operators' page has a table.
PAGES_ON_GPUS = [
    ROOT / 'README.md',
    *READMES[2:],
    *(PAGES / f'{name}.md' for name in ('failures', 'migrating', 'predict', 'several_gpus', 'your_own_data')),
]
_BLOCK = re.compile(r'^( *)```(\S*)[^\n]*\n(.*?)^ *```$', flags=re.M | re.S)
_TABLE = re.compile(r'<!-- (\w+): begin .*?<!-- \1: end -->', flags=re.S)


@dataclass(frozen=True)
class Block:
    """A fenced block.

    Args:
        language: what follows the fence, such as ``'bash'``; empty where nothing does.
        text: the lines between the fences.
        line: number of the first of them.
    """

    language: str
    text: str
    line: int


def executed_documents() -> list[Path]:
    """Return what is run, in order: the READMEs, then the other pages. The Chinese README is compared instead."""
    return READMES + [page for page in sorted(PAGES.glob('*.md')) if page != CHINESE]


def blocks_of(text: str) -> list[Block]:
    """Return the fenced blocks of a document."""
    return [Block(match[2], match[3], text.count('\n', 0, match.start(3)) + 1) for match in _BLOCK.finditer(text)]


def generated_tables(text: str) -> list[str]:
    """Return the generated tables with their markers."""
    return [match[0] for match in _TABLE.finditer(text)]


def links_from_pages(text: str) -> str:
    """Return a text of the README as it has to read in ``.github/docs``: with relative links from there."""
    return re.sub(r'\]\((?![a-z]+:|#)', '](../../', text)


def headings_of(text: str) -> list[tuple[int, str]]:
    """Return level and text of every heading outside of the fenced blocks."""
    return [(len(match[1]), match[2].strip()) for match in re.finditer(r'^(#+) (.+)$', _prose(text), flags=re.M)]


def anchors_of(text: str) -> set[str]:
    """Return the names under which GitHub links to the headings of a document, and those set by hand."""
    anchors = set(re.findall(r'<a (?:id|name)="([^"]+)"', text))
    seen: Counter[str] = Counter()
    for _, heading in headings_of(text):
        words = re.sub(r'\[([^\]]*)\]\([^)]*\)', r'\1', heading)
        name = re.sub(r'[^\w\- ]', '', words.lower()).replace(' ', '-')
        anchors.add(f'{name}-{seen[name]}' if seen[name] else name)
        seen[name] += 1
    return anchors


def links_of(text: str) -> Iterator[str]:
    """Yield the targets of links and pictures outside of the fenced blocks."""
    prose = re.sub(r'`[^`\n]*`', '', _prose(text))
    yield from (match[1] for match in re.finditer(r'\]\(\s*<?([^)>\s]+)', prose))
    yield from (match[1] for match in re.finditer(r'(?:src|href)="([^"]+)"', prose))


def tracked_documents() -> list[Path]:
    """Return every Markdown file that git has or would take."""
    command = ['git', 'ls-files', '--cached', '--others', '--exclude-standard', '*.md']
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return [ROOT / name for name in names if (ROOT / name).exists()]


def _prose(text: str) -> str:
    return _BLOCK.sub('', text)
