"""Run the code blocks of the READMEs and of the pages in ``.github/docs``, in order, in a copy of the repository.

What a command needs and a test cannot download is supplied under the names that the documents use, by the
``supply_*`` functions of ``supplies/*.py``. The commands themselves run as they are written. ``nox`` lines other than
the demo are checked against ``.ci/run``, which runs them, instead of being run twice. The Chinese README is compared
with the English one by ``test_documents.py``. The examples in docstrings run too, and the messages of ours that pages
quote are provoked.

    python tests/repo/run_readme.py                        # run everything
    python tests/repo/run_readme.py .github/docs/page.md   # run some documents
    python tests/repo/run_readme.py --write                # write the generated tables anew
"""

from __future__ import annotations

import argparse
import importlib
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from documents import ROOT, blocks_of, executed_documents
from quotes import check_quotes
from run_blocks import BlockError, run_block
from run_doctests import run_doctests

SUPPLIES = Path(__file__).parent / 'supplies'
WHEELS = Path('.nox', '.cache', 'wheels')


def copy_repository(target: Path) -> None:
    """Copy what git would clone, as it is in the working tree, links as links; and the wheels built of these files."""
    command = ['git', 'ls-files', '--cached', '--others', '--exclude-standard']
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    for name in names:
        if (ROOT / name).is_symlink() or (ROOT / name).exists():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)
    # nox finds them by a digest of the files, so that `nox -s demo` compiles nothing again
    if (ROOT / WHEELS).is_dir():
        shutil.copytree(ROOT / WHEELS, target / WHEELS)


def supply(target: Path) -> None:
    """Call every ``supply_*`` function, those of the READMEs first."""
    for file in sorted(SUPPLIES.glob('*.py'), key=lambda file: (file.stem != 'readme', file.stem)):
        module = importlib.import_module(f'supplies.{file.stem}')
        for name, function in sorted(vars(module).items()):
            if name.startswith('supply_') and function.__module__ == module.__name__:
                function(target)


def run_document(document: Path, target: Path) -> list[tuple[float, str]]:
    """Run the blocks of a document; return the seconds and the place of each.

    Raises:
        SystemExit: a block failed.
    """
    times = []
    for block in blocks_of(document.read_text(encoding='utf-8')):
        place = f'{document.relative_to(ROOT)}:{block.line} ({block.language})'
        start = time.monotonic()
        try:
            if run_block(block, target):
                times.append((time.monotonic() - start, place))
                print(f'# {place}, {times[-1][0]:.0f} s\n{block.text}', flush=True)
        except BlockError as failure:
            raise SystemExit(f'{place} failed:\n{block.text}\n{failure}') from failure
    return times


def run_documents(documents: list[Path], target: Path) -> list[tuple[float, str]]:
    """Run the first document, the README, which installs the packages; then the others, two at a time."""
    first, *others = documents
    times = run_document(first, target)
    with ThreadPoolExecutor(max_workers=2) as pool:
        for more in pool.map(lambda document: run_document(document, target), others):
            times += more
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('documents', nargs='*', type=Path, help='default: all, and the examples in docstrings')
    parser.add_argument('--write', action='store_true', help='write the generated tables and stop')
    arguments = parser.parse_args()
    from readme_tables import check_tables, write_tables

    if arguments.write:
        write_tables()
        return
    if not arguments.documents:
        check_tables()
        run_doctests()
    documents = [path.absolute() for path in arguments.documents] or executed_documents()
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / 'clone'
        copy_repository(target)
        supply(target)
        if not arguments.documents:
            print(f'{check_quotes(documents, target)} quoted messages are those that come out', flush=True)
        times = run_documents(documents, target)
    for seconds, place in sorted(times, reverse=True):
        print(f'{seconds:6.1f} s  {place}')
    print(f'{len(times)} passed, 0 failed, {sum(seconds for seconds, _ in times):.0f} s')


if __name__ == '__main__':
    sys.exit(main())
