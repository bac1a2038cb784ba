"""Run the examples in the docstrings of the installed packages.

Modules are imported under their own names, and only those with an example in them: some register classes with
MMSegmentation, and some are there for installations without MMDetection.
"""

from __future__ import annotations

import doctest
import importlib
import sys
from collections.abc import Iterator

from documents import ROOT

SOURCES = [
    ROOT / 'shared_ops' / 'src',
    *(ROOT / 'packages' / name / 'src' for name in ('vit_adapter', 'vit_comer', 'internimage')),
]


def modules_with_examples() -> Iterator[str]:
    """Yield the names of the modules whose sources hold ``>>>``."""
    for source in SOURCES:
        for file in sorted(source.rglob('*.py')):
            if '>>> ' in file.read_text(encoding='utf-8'):
                parts = file.relative_to(source).with_suffix('').parts
                yield '.'.join(parts[:-1] if parts[-1] == '__init__' else parts)


def run_doctests() -> None:
    """Run them all.

    Raises:
        SystemExit: an example failed, or there is none.
    """
    attempted = failed = 0
    for name in modules_with_examples():
        importlib.import_module(name)  # a function of the same name hides some modules in their package
        result = doctest.testmod(sys.modules[name], optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
        attempted, failed = attempted + result.attempted, failed + result.failed
        print(f'{name}: {result.attempted} lines of examples, {result.failed} failed', flush=True)
    if failed or not attempted:
        raise SystemExit(f'{failed} of {attempted} examples in docstrings failed')


if __name__ == '__main__':
    run_doctests()
