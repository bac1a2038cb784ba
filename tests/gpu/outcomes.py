"""A plugin of pytest (``-p outcomes --outcomes FILE``): every test's outcome becomes a line as soon as it is there.

A test that skips fails the run: on the machine that this is for, everything that was chosen has to run. A process whose
device is lost, which after an illegal access stays so, ends, so that the tests after it fail or pass by themselves.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption('--outcomes', type=Path, required=True, help='file for a JSON line of each test')


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, 'workerinput'):
        config.pluginmanager.register(LostDevice())
    else:
        config.pluginmanager.register(Outcomes(config.getoption('outcomes')))


class Outcomes:
    """Writes the lines; with pytest-xdist in the process that gathers the reports of all others."""

    def __init__(self, path: Path) -> None:
        self.path, self.skipped = path, 0

    def _write(self, **entry: object) -> None:
        with self.path.open('a', encoding='utf-8') as file:
            file.write(json.dumps(entry) + '\n')

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if not report.passed:
            self._write(test=report.nodeid, outcome=f'{report.outcome} to collect', why=_last_lines(report))
            self.skipped += report.skipped

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == 'call' or not report.passed:
            why = {} if report.passed else {'why': _last_lines(report)}
            seconds = round(report.duration, 3)
            self._write(test=report.nodeid, outcome=report.outcome, when=report.when, seconds=seconds, **why)
            self.skipped += report.skipped

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session, exitstatus: int) -> None:
        if self.skipped and exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED


class LostDevice:
    """Ends a process of pytest-xdist whose device answers no more; a new one goes on."""

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self) -> Iterator[None]:
        result = yield
        torch = sys.modules.get('torch')
        if torch is not None and torch.cuda.is_initialized():
            try:
                torch.cuda.synchronize()
            except RuntimeError:
                os._exit(1)
        return result


def _last_lines(report: pytest.CollectReport | pytest.TestReport) -> str:
    return '\n'.join(report.longreprtext.splitlines()[-12:])
