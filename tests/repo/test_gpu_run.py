"""The run on a GPU: what its driver does with stages that hang, tests that skip, and results."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
GPU, BENCHMARKS = ROOT / 'tests' / 'gpu', ROOT / 'shared_ops' / 'benchmarks'
PYTHON = sys.executable


@pytest.fixture(autouse=True)
def _find_modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Both folders hold plain modules, not packages; what is imported here needs the standard library alone."""
    for folder in (BENCHMARKS, GPU):
        monkeypatch.syspath_prepend(str(folder))
    yield
    for path in (*BENCHMARKS.glob('*.py'), *GPU.glob('*.py')):
        sys.modules.pop(path.stem, None)


def lines_of(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding='utf-8').splitlines()]


def write_lines(path: Path, *entries: dict) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(''.join(json.dumps(entry) + '\n' for entry in entries), encoding='utf-8')


def make_stages(out: Path, seconds: float = 60, half: str = 'right'):
    from stages import Stages

    return Stages(out, half, seconds, ROOT, {'OF_ALL': 'stages'})


def is_running(process: int) -> bool:
    try:
        state = Path(f'/proc/{process}/stat').read_text().rsplit(')', 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != 'Z'  # one that has ended and that nobody has asked about yet


def ends(process: int, seconds: float = 20) -> bool:
    """Wait until a process that was killed has ended, which takes a moment on a busy machine."""
    end = time.monotonic() + seconds
    while is_running(process) and time.monotonic() < end:
        time.sleep(0.05)
    return not is_running(process)


def test_a_stage_that_hangs_is_killed_with_its_children_and_the_next_runs(tmp_path: Path) -> None:
    stages = make_stages(tmp_path)
    stubborn = 'trap "" TERM; (trap "" TERM; sleep 60) & echo $! > "$0"; sleep 60'
    begin = time.monotonic()
    assert not stages.run('hangs', 5, ['bash', '-c', stubborn, str(tmp_path / 'child')])
    assert time.monotonic() - begin < 40
    assert ends(int((tmp_path / 'child').read_text()))
    assert stages.run('next', 20, ['true'])
    hung, following = lines_of(tmp_path / 'stages.jsonl')
    assert (hung['rc'], hung['ended']) == (None, 'stopped at its limit')
    assert (following['rc'], following['ended']) == (0, 'succeeded')
    assert stages.failed == ['hangs']


def test_what_is_left_of_the_half_cuts_limits(tmp_path: Path) -> None:
    stages = make_stages(tmp_path, seconds=3)
    assert not stages.run('long', 100, ['sleep', '60'])
    assert not stages.run('late', 100, ['touch', str(tmp_path / 'made')])
    long, late = lines_of(tmp_path / 'stages.jsonl')
    assert long['limit'] <= 3 and long['seconds'] < 40
    assert (late['rc'], late['ended']) == (None, 'left out: no time was left')
    assert not (tmp_path / 'made').exists()


def test_a_stage_says_how_it_is_done_again(tmp_path: Path) -> None:
    stages = make_stages(tmp_path)
    script = 'import os; print(os.environ["OF_ALL"], os.environ["ITS OWN".replace(" ", "_")]); raise SystemExit(3)'
    assert not stages.run('fails', 20, [PYTHON, '-c', script], ITS_OWN='two words')
    assert not stages.run('lacks its program', 20, ['no-such-program'])
    failed, lacking = lines_of(tmp_path / 'stages.jsonl')
    assert (failed['rc'], lacking['rc']) == (3, None)
    assert 'no-such-program' in lacking['ended']
    again = subprocess.run(failed['reproduce'], shell=True, capture_output=True, text=True)
    assert (again.returncode, again.stdout) == (3, 'stages two words\n')
    assert 'stages two words' in (tmp_path / 'log.txt').read_text()


def test_a_half_that_runs_again_replaces_its_own_lines_alone(tmp_path: Path) -> None:
    for half, command in (('right', 'false'), ('fast', 'true'), ('right', 'true')):
        make_stages(tmp_path, half=half).run('stage', 20, [command])
    assert [(line['half'], line['rc']) for line in lines_of(tmp_path / 'stages.jsonl')] == [('fast', 0), ('right', 0)]


TESTS = """
import pytest

def test_that_passes(): pass

def test_that_fails(): assert 1 == 2

@pytest.mark.skip(reason='there is no such thing here')
def test_that_skips(): pass

@pytest.fixture
def broken(): raise RuntimeError('cannot be set up')

def test_that_is_not_set_up(broken): pass
"""


def run_outcomes(folder: Path, *chosen: str, source: str = TESTS) -> tuple[int, list[dict]]:
    (folder / 'test_some.py').write_text(source)
    path = folder / 'tests.jsonl'
    plugins = ('-p', 'no:cacheprovider', '-p', 'outcomes', '--outcomes', str(path))
    env = {**os.environ, 'PYTHONPATH': str(GPU), 'PYTEST_DISABLE_PLUGIN_AUTOLOAD': '1'}
    command = [PYTHON, '-m', 'pytest', '--rootdir', str(folder), *plugins, *chosen, 'test_some.py']
    result = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True)
    return result.returncode, lines_of(path)


def test_outcomes_are_written_and_a_skip_fails_the_run(tmp_path: Path) -> None:
    status, lines = run_outcomes(tmp_path, '-k', 'passes')
    assert (status, [line['outcome'] for line in lines]) == (0, ['passed'])
    (tmp_path / 'tests.jsonl').unlink()
    status, lines = run_outcomes(tmp_path, '-k', 'passes or skips')
    assert (status, [line['outcome'] for line in lines]) == (1, ['passed', 'skipped'])
    (tmp_path / 'tests.jsonl').unlink()
    status, lines = run_outcomes(tmp_path)
    assert status == 1
    found = {line['test'].split('::')[1]: line for line in lines}
    outcomes = {name: (line['outcome'], line['when']) for name, line in found.items()}
    assert outcomes == {
        'test_that_passes': ('passed', 'call'),
        'test_that_fails': ('failed', 'call'),
        'test_that_skips': ('skipped', 'setup'),
        'test_that_is_not_set_up': ('failed', 'setup'),
    }
    assert '1 == 2' in found['test_that_fails']['why']
    assert 'cannot be set up' in found['test_that_is_not_set_up']['why']


def test_a_file_that_cannot_be_read_is_an_outcome(tmp_path: Path) -> None:
    status, (line,) = run_outcomes(tmp_path, source='import no_such_module\n')
    assert status == 2
    assert line['outcome'] == 'failed to collect' and 'no_such_module' in line['why']


class Planned:
    """Stands for the stages, and notes the commands, all of which succeed."""

    def __init__(self) -> None:
        self.commands: dict[str, list[str]] = {}

    def cut(self, limit: float) -> float:
        return limit

    def run(self, name: str, limit: float, command: list[str], **variables: str) -> bool:
        assert name not in self.commands and all(isinstance(word, str) for word in command)
        self.commands[name] = command
        return True


def test_what_only_a_gpu_runs_is_there(tmp_path: Path) -> None:
    from plan import Folders, fast, prepare, right

    planned = Planned()
    for half in (prepare, right, fast):
        half(planned, Folders(*(tmp_path / name for name in ('bundle', 'out', 'work'))), 'cuda')
    words = {word for command in planned.commands.values() for word in command}
    files = {word for word in words if word.startswith(('tests/', 'shared_ops/')) and word.endswith(('.py', '.cu'))}
    assert files and all((ROOT / file).is_file() for file in files)
    tools = {'memcheck', 'racecheck', 'synccheck', 'counters', 'ceilings', 'other order'}
    assert tools <= set(planned.commands)
    written = {Path(word).name for word in words if word.startswith(str(tmp_path / 'out'))}
    assert written == {'tests.jsonl', 'models.jsonl', 'ceilings.jsonl', 'counters.csv', 'out', 'other_order'}


def test_both_halves_end_within_ten_minutes() -> None:
    from plan import SECONDS
    from stages import GRACE

    assert 2 * (SECONDS + GRACE) < 600


MACHINE = {'device': 'cuda', 'gpu': 'Some GPU', 'driver': '580.1', 'torch': '2.11.0', 'date': '2026-11-27T10:00:00'}


def stage(name: str, rc: int | None, ended: str) -> dict:
    return {'half': 'right', 'stage': name, 'rc': rc, 'ended': ended, 'seconds': 1.5, 'limit': 20, 'reproduce': 'do it'}


def timed(implementation: str, seconds: float) -> dict:
    entry = {'record': 'times', 'operator': 'dcnv3', 'case': 'tiny-scaled', 'batch': 1, 'direction': 'forward'}
    times = {'implementation': implementation, 'precision': 'float32', 'seconds': [seconds] * 3}
    return {**entry, **times, 'timed': 'graph', 'copies': 5, 'host_seconds': 1e-4}


COUNTED = """==PROF== Connected
"ID","Kernel Name","gpu__time_duration.sum","lts__t_sectors_op_red.sum"
"","","ns","sector"
"0","tiny, float32, backward","1,500","2000000"
"""


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """Return the results of a card, whose halves were copied into folders of their own."""
    folder = tmp_path / 'results' / 'card'
    checked = {'model': 'internimage', 'precision': 'float32', 'passed': True}
    write_lines(
        folder / 'right' / 'stages.jsonl',
        {'half': 'right', 'machine': MACHINE},
        stage('tests', 1, 'failed with status 1'),
        stage('models', 0, 'succeeded'),
    )
    write_lines(
        folder / 'right' / 'tests.jsonl',
        {'test': 'a.py::test_one', 'outcome': 'passed'},
        {'test': 'a.py::test_two[x y]', 'outcome': 'failed', 'why': 'first\nE   assert 1 == 2'},
    )
    write_lines(
        folder / 'right' / 'models.jsonl',
        {**checked, 'check': 'scores', 'distance': 2e-6, 'allowed': 1e-4},
        {**checked, 'check': 'loss', 'distance': 3e-6, 'allowed': 1e-4},
        {**checked, 'check': 'gradient of x', 'distance': 0.5, 'allowed': 2e-2, 'passed': False},
        {**checked, 'check': 'time of a training step', 'seconds': 0.25, 'bytes': 3 << 30},
    )
    write_lines(folder / 'fast' / 'stages.jsonl', {'half': 'fast', 'machine': MACHINE})
    machine = {**MACHINE, 'record': 'machine', 'cuda': '13.0', 'revision': 'abc'}
    write_lines(folder / 'fast' / 'cuda.jsonl', machine, timed('shared_ops', 2e-5), timed('peer', 6e-5))
    write_lines(folder / 'fast' / 'other_order' / 'cuda.jsonl', machine, timed('shared_ops', 3e-5))
    (folder / 'fast' / 'counters.csv').write_text(COUNTED)
    return folder


def test_summary_says_what_failed_and_how_to_do_it_again(results: Path) -> None:
    result = subprocess.run([PYTHON, str(GPU), 'summary', str(results)], capture_output=True, text=True, check=True)
    lines = result.stdout.splitlines()
    assert lines[0] == 'Some GPU, driver 580.1; PyTorch 2.11.0, 2026-11-27.'
    assert '| right | tests | failed with status 1 | 1.5 of 20 |' in lines
    assert lines[lines.index('tests:') + 1] == '    do it'
    assert 'models:' not in lines
    assert 'Tests: 1 passed, 1 failed.' in lines
    assert lines[lines.index('failed: E   assert 1 == 2') + 1] == "    python3 -m pytest 'a.py::test_two[x y]'"
    assert '| internimage | float32 | 2e-06 | 3e-06 | 0.5 |  | 250.0 | 3.00 | no |' in lines
    assert 'failed: internimage, float32, gradient of x: 0.5, allowed is 0.02' in lines
    assert '| DCNv3 | forward | float32 | peer | 3.00 | 3.00 (tiny-scaled, batch 1) | 1 |' in lines
    assert '| tiny-scaled | 1 | forward | float32 | 20.0 | 30.0 | 1.50 |' in lines
    assert '| tiny, float32, backward | 1.5 |  |  | 64 |  |  |  |' in lines


def test_readmes_show_a_card_or_say_that_there_is_none(results: Path) -> None:
    from report import UNTRIED, gpu_table

    table = gpu_table(results.parent)
    assert table.startswith('Some GPU, driver 580.1; PyTorch 2.11.0, 2026-11-27. 1 of 2 tests of the operators pass')
    assert '| peer | 3.00 |' in table
    shutil.rmtree(results)
    assert gpu_table(results.parent) == UNTRIED


@pytest.mark.parametrize('name', ['right/stages.jsonl', 'fast/cuda.jsonl'])
def test_no_figure_of_a_gpu_comes_from_a_cpu(results: Path, name: str) -> None:
    from report import gpu_table

    path = results / name
    path.write_text(path.read_text().replace('"device": "cuda"', '"device": "cpu"'))
    with pytest.raises(ValueError, match='card holds results of a dry run'):
        gpu_table(results.parent)
