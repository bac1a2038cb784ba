"""Running the code blocks of a document, each by the rules of its language."""

from __future__ import annotations

import multiprocessing
import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

from documents import ROOT, Block

# The CUDA library takes minutes to compile, and the session dist compiles it.
# TORCH_HOME, relative to the folder of the blocks, holds a file under the name of a published checkpoint.
ENVIRONMENT = {'SHARED_OPS_BUILD': 'cpu', 'TORCH_HOME': 'torch_home'}
# In this order: the packages prepare OpenMMLab's. Whether each imports alone is for the packages' own tests.
PRELOADED = ['vit_adapter', 'vit_comer', 'internimage', 'mmseg.apis']


class BlockError(Exception):
    """A block ended with an error."""


def run_block(block: Block, folder: Path) -> bool:
    """Run a block in a folder; return False where its language is none that runs.

    Raises:
        BlockError: it failed.
    """
    run = RUN.get(block.language)
    if run is not None:
        run(block, folder)
    return run is not None


def _run_bash(block: Block, folder: Path) -> None:
    script = block.text
    for line in commands_run_elsewhere(script):
        print(f'# run by .ci/run: {line}', flush=True)
        script = script.replace(line + '\n', '')
    _run(['bash', '-euo', 'pipefail', '-c', script], folder)


def _run_python(block: Block, folder: Path) -> None:
    """Run it in a process of its own, forked from one that has imported what most blocks import."""
    forked = multiprocessing.get_context('forkserver')
    forked.set_forkserver_preload(PRELOADED)
    process = forked.Process(target=_execute, args=(block, folder))
    process.start()
    process.join()
    if process.exitcode:
        raise BlockError('it ended with an error, see above')


def _execute(block: Block, folder: Path) -> None:
    os.chdir(folder)
    os.environ.update(ENVIRONMENT)
    exec(compile(block.text, f'<line {block.line}>', 'exec'), {'__name__': '__main__'})


def _run(command: list[str], folder: Path) -> None:
    if subprocess.run(command, cwd=folder, env=os.environ | ENVIRONMENT).returncode:
        raise BlockError('it ended with an error, see above')


RUN: dict[str, Callable[[Block, Path], None]] = {
    'bash': _run_bash,
    'python': _run_python,
}


def commands_run_elsewhere(script: str) -> list[str]:
    """Return the ``nox`` lines of a block that ``.ci/run`` runs; they are not run here again.

    Raises:
        BlockError: a line names a session that ``.ci/run`` does not run.
    """
    lines = re.findall(r'--session ([\w ]+)', (ROOT / '.ci' / 'run').read_text(encoding='utf-8'))
    ran = {name for line in lines for name in line.split()}
    elsewhere = []
    for line in script.splitlines():
        words = line.split('#')[0].split()
        if words[:1] != ['nox'] or 'demo' in words:
            continue
        names = words[2 : words.index('--')] if '--' in words else words[2:]
        sessions = {re.split(r'[("\']', name.strip('"\''))[0] for name in names}
        if words[1:2] == ['-s'] and not sessions <= ran:
            raise BlockError(f'it says {line!r}, but .ci/run runs only {sorted(ran)}')
        elsewhere.append(line)
    return elsewhere
