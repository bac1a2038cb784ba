"""What the sources raise: what is refused on purpose says so by its class (``shared_ops.errors``)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = [ROOT / 'shared_ops' / 'src', *sorted((ROOT / 'packages').glob('*/src'))]
# what may be raised besides: (file, exception) and why
REASONS = {
    ('augmented_test.py', 'NotImplementedError'): 'a method that its base class wants and nobody calls',
    ('checkpoint.py', 'pickle.UnpicklingError'): 'torch.load knows it, and tells it as its own',
    ('compiled_ops.py', 'AttributeError'): 'how Python is told that a module has no such attribute',
    ('model_options.py', 'argparse.ArgumentTypeError'): 'argparse prints it beside the usage',
    ('out_of_memory.py', 'MemoryError'): 'what the memory was taken by stands in the trace',
    ('app.py', 'HTTPException'): 'Starlette answers the browser with it',
    ('transfer.py', 'TransferBrokenError'): 'another attempt follows, and DownloadError after the last',
    ('transfer.py', '_page_instead'): 'a function that returns a DownloadError',
    ('turns.py', 'BusyError'): 'the page is answered with its own words',
}


def sources() -> Iterator[Path]:
    for folder in SOURCES:
        yield from (path for path in folder.rglob('*.py') if 'configs' not in path.relative_to(folder).parts)


def user_errors() -> set[str]:
    """Return the names of ``UserError`` and of the classes derived from it, wherever they are defined."""
    bases = {
        node.name: {ast.unparse(base) for base in node.bases}
        for path in sources()
        for node in ast.walk(ast.parse(path.read_text(encoding='utf-8')))
        if isinstance(node, ast.ClassDef) and node.name.endswith('Error')
    }
    found = {'UserError'}
    while more := {name for name, above in bases.items() if above & found} - found:
        found |= more
    return found


def raised(text: str) -> Iterator[tuple[int, str]]:
    """Yield line and name of whatever is raised anew."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Raise) and node.exc is not None:
            yield node.lineno, ast.unparse(node.exc.func if isinstance(node.exc, ast.Call) else node.exc)


def accidents(path: Path, text: str, purposeful: set[str]) -> list[str]:
    return [
        f'{path.relative_to(ROOT)}:{line} raises {name}; use one of {sorted(purposeful)}'
        for line, name in raised(text)
        if name not in purposeful and (path.name, name) not in REASONS
    ]


def test_what_is_refused_is_a_user_error() -> None:
    purposeful = user_errors()
    assert {'InputError', 'MissingFileError', 'DownloadError'} <= purposeful
    files = list(sources())
    assert files
    found = [found for path in files for found in accidents(path, path.read_text(encoding='utf-8'), purposeful)]
    assert not found, '\n'.join(found)


def test_every_exception_to_the_rule_is_there() -> None:
    used = {(path.name, name) for path in sources() for _, name in raised(path.read_text(encoding='utf-8'))}
    assert set(REASONS) <= used


@pytest.mark.parametrize(
    'statement', ["raise ValueError('x')", 'raise RuntimeError', "raise type(error)('x')", "raise MemoryError('x')"]
)
def test_an_accident_is_seen(statement: str) -> None:
    path = next(sources())
    assert accidents(path, f'{path.read_text(encoding="utf-8")}\n{statement}\n', user_errors())
