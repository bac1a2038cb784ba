"""Runs commands one after another, each with a limit of its own, and writes down how each ended as soon as it has."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import time
from pathlib import Path

# Between the request to stop, at the limit, and the kill: for a test run to say where it was.
GRACE = 3.0


class Stages:
    """The stages of one half.

    ``stages.jsonl`` gets a line for each, ``log.txt`` what it printed; lines of an earlier run of the half go.

    Args:
        out: folder of the results.
        half: ``'right'`` or ``'fast'``.
        seconds: after so many the half is over: limits of later stages are cut to what is left.
        root: where the commands run.
        variables: of the environment, for all stages.
    """

    def __init__(self, out: Path, half: str, seconds: float, root: Path, variables: dict[str, str]) -> None:
        self.half, self.root, self.variables = half, root, variables
        self.failed: list[str] = []
        self._end = time.monotonic() + seconds
        self._results, self._log = out / 'stages.jsonl', out / 'log.txt'
        kept = [line for line in _lines(self._results) if json.loads(line).get('half') != half]
        self._results.write_text(''.join(kept), encoding='utf-8')

    def note(self, **entry: object) -> None:
        """Write a line that is no stage, such as what machine this is."""
        with self._results.open('a', encoding='utf-8') as file:
            file.write(json.dumps({'half': self.half, **entry}) + '\n')

    def cut(self, limit: float) -> float:
        """Return ``limit``, or what is left of the half where that is less."""
        return max(0.0, min(limit, self._end - time.monotonic()))

    def run(self, name: str, limit: float, command: list[str], **variables: str) -> bool:
        """Run a command in a process group, which is stopped at the limit; return whether it succeeded."""
        limit, settings = self.cut(limit), {**self.variables, **variables}
        reproduce = shlex.join(['env', *(f'{key}={value}' for key, value in settings.items()), *command])
        with self._log.open('a', encoding='utf-8') as log:
            log.write(f'\n=== {self.half}: {name}\n{reproduce}\n')
        begin, start = self._log.stat().st_size, time.monotonic()
        rc, ended = self._wait(command, limit, settings) if limit >= 1 else (None, 'left out: no time was left')
        seconds = round(time.monotonic() - start, 1)
        entry = {'stage': name, 'rc': rc, 'seconds': seconds, 'limit': round(limit, 1), 'ended': ended}
        self.note(**entry, reproduce=reproduce)
        print(f'{self.half}: {name}: {ended}, {seconds} of {limit:.0f} s', flush=True)
        if rc != 0:
            self.failed.append(name)
            with self._log.open(encoding='utf-8', errors='replace') as log:
                log.seek(begin)
                print('\n'.join(f'    {line[:200]}' for line in log.read().splitlines()[-15:]), flush=True)
        return rc == 0

    def _wait(self, command: list[str], limit: float, settings: dict[str, str]) -> tuple[int | None, str]:
        with self._log.open('ab') as log:
            try:
                process = subprocess.Popen(
                    command, cwd=self.root, env={**os.environ, **settings},
                    stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip
            except OSError as error:
                return None, f'did not start: {error}'
            try:
                rc = process.wait(limit)
                return rc, 'succeeded' if rc == 0 else f'failed with status {rc}'
            except subprocess.TimeoutExpired:
                _signal(process, signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(GRACE)
                return None, 'stopped at its limit'
            finally:
                # what the command started and left behind would disturb the next stage
                _signal(process, signal.SIGKILL)
                process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding='utf-8').splitlines(keepends=True) if path.exists() else []
