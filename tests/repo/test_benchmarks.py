"""The committed results of the benchmarks, and the arithmetic that makes tables of them."""

import json
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BENCHMARKS = ROOT / 'shared_ops' / 'benchmarks'
RESULTS = sorted((BENCHMARKS / 'results').glob('*.jsonl'))
BACKBONES = sorted((BENCHMARKS / 'results' / 'backbones').glob('*.json'))


@pytest.fixture(autouse=True)
def _find_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both folders hold plain modules, not packages; what is imported here needs the standard library alone."""
    for folder in (BENCHMARKS, Path(__file__).parent):
        monkeypatch.syspath_prepend(str(folder))
    yield
    for name in ('summary', 'table', 'readme_tables'):
        sys.modules.pop(name, None)


def entry(implementation: str, precision: str, seconds: list[float], batch: int = 1) -> dict[str, object]:
    case = {'case': 'shape', 'operator': 'dcnv3', 'batch': batch, 'direction': 'forward'}
    return {**case, 'implementation': implementation, 'precision': precision, 'seconds': seconds}


def test_ratios_compare_times_of_the_same_round() -> None:
    from summary import Pairing, geometric_mean, ratios, worst

    results = {
        'times': [
            entry('shared_ops', 'float32', [1.0, 2.0, 4.0]),
            entry('peer', 'float32', [3.0, 8.0, 8.0]),
            entry('shared_ops', 'float32', [1.0], batch=2),
            entry('peer', 'float32', [12.0], batch=2),
            entry('shared_ops', 'bfloat16', [2.0, 2.0, 2.0]),
        ]
    }
    found = ratios(results)
    against_peer = found[Pairing('dcnv3', 'forward', 'float32', 'peer', 'float32')]
    assert [(ratio.batch, ratio.median, ratio.least) for ratio in against_peer] == [(1, 3.0, 2.0), (2, 12.0, 12.0)]
    assert geometric_mean([ratio.median for ratio in against_peer]) == pytest.approx(6.0)
    assert worst(against_peer).shape == 'shape, batch 1'
    (half,) = found[Pairing('dcnv3', 'forward', 'bfloat16', 'shared_ops', 'float32')]
    assert (half.median, half.least) == (1.0, 0.5)


def test_memory_is_compared_with_float32() -> None:
    from summary import memory_ratios

    peaks = [('shared_ops', 'float32', 80), ('shared_ops', 'bfloat16', 44), ('plain PyTorch', 'bfloat16', 7)]
    shape = {'operator': 'dcnv3', 'direction': 'forward', 'case': 'shape'}
    entries = [{**shape, 'implementation': name, 'precision': kind, 'bytes': size} for name, kind, size in peaks]
    assert memory_ratios({'memory': entries}) == {('dcnv3', 'forward', 'bfloat16'): [('shape', 0.55)]}


def test_readmes_show_the_committed_results() -> None:
    from readme_tables import BENCHMARK_TABLES, check_tables

    assert RESULTS
    check_tables(BENCHMARK_TABLES)


def test_a_table_that_differs_is_seen(tmp_path: Path) -> None:
    from readme_tables import BENCHMARK_TABLES, with_table

    readme, name, make = BENCHMARK_TABLES[0]
    text = readme.read_text(encoding='utf-8')
    assert with_table(text, name, make()) == text
    assert with_table(text, name, make().replace('attention', 'intention')) != text


@pytest.mark.parametrize('path', RESULTS, ids=[path.stem for path in RESULTS])
def test_committed_results_are_whole(path: Path) -> None:
    from results import read_results

    results = read_results(path)
    assert all(results['machine'][key] for key in ('device', 'cpu', 'cores', 'torch', 'revision', 'date'))
    assert results['machine']['device'] == path.stem
    inaccurate = {
        (entry['case'], entry['implementation'], entry['precision'])
        for entry in results['errors']
        if not entry['passed']
    }
    timed = {(entry['case'], entry['implementation'], entry['precision']) for entry in results['times']}
    assert timed and not timed & inaccurate
    judged = {(entry['case'], entry['implementation'], entry['precision']) for entry in results['errors']}
    assert timed <= judged, 'nothing is timed that was not compared with float64 first'
    picture = path.with_suffix('.png')
    assert 1_000 < picture.stat().st_size < 150_000


@pytest.mark.parametrize('path', BACKBONES, ids=[path.stem for path in BACKBONES])
def test_committed_results_of_backbones_are_whole(path: Path) -> None:
    results = json.loads(path.read_text(encoding='utf-8'))
    assert path.stem == f'{results["backbone"]["package"]}-{results["machine"]["device"]}'
    assert results['deviation'] < 1e-4, 'what is timed was compared first'
    timed = [(entry['direction'], entry['implementation']) for entry in results['times']]
    directions, names = ('forward', 'forward+backward'), ('shared_ops', 'plain PyTorch')
    assert timed == [(direction, name) for direction in directions for name in names]
    assert len({len(entry['seconds']) for entry in results['times']}) == 1


def test_memory_of_training_is_a_share_of_the_first() -> None:
    from model_tables import training_memory_table

    plain = {'name': 'as published', 'crop': 256, 'batch': 4, 'accumulate': 1, 'bytes': 2**31}
    machine = {'device': 'cuda', 'gpu': 'GPU', 'driver': 1, 'cuda': 2, 'torch': 3, 'revision': 4, 'date': '2026-11-25T'}
    half = {**plain, 'name': 'halves', 'batch': 2, 'accumulate': 2, 'bytes': 2**30}
    rows = training_memory_table({'machine': machine, 'config': 'name', 'measured': [plain, half]}).splitlines()
    assert rows[-2:] == [
        '| as published | 4 of 256 x 256 | 2.00 GiB | 100 % |',
        '| halves | 2 x 2 of 256 x 256 | 1.00 GiB | 50 % |',
    ]
