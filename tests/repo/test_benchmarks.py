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
    for folder in (BENCHMARKS, Path(__file__).parent):
        for path in folder.glob('*.py'):
            sys.modules.pop(path.stem, None)


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


def test_results_are_in_the_file_as_they_come(tmp_path: Path) -> None:
    from results import Record, read_results

    path = tmp_path / 'cpu.jsonl'
    with path.open('w', encoding='utf-8') as file:
        record = Record(file)
        record.add('machine', device='cpu')
        record.add('times', **entry('shared_ops', 'float32', [1.0, 2.0]))
        for _ in range(2):
            record.skip('too large', case='shape', batch=16)
        assert len(path.read_text(encoding='utf-8').splitlines()) == 3, 'nothing waits for the file to be closed'
        found = read_results(path)
    assert found == record.results
    assert found['machine'] == {'device': 'cpu'}
    assert found['times'] == [entry('shared_ops', 'float32', [1.0, 2.0])]
    assert found['skipped'] == [{'case': 'shape', 'batch': 16, 'reason': 'too large'}]


def test_half_a_line_at_the_end_is_of_a_run_that_was_killed(tmp_path: Path) -> None:
    from results import read_results

    whole, half = tmp_path / 'ceilings.jsonl', tmp_path / 'cuda.jsonl'
    whole.write_text('{"record": "ceilings", "operation": "L2 read"}\n')
    half.write_text('{"record": "machine", "device": "cuda"}\n{"record": "times", "seco')
    found = read_results(half, whole)
    assert (found['machine'], found['times']) == ({'device': 'cuda'}, [])
    assert found['ceilings'] == [{'operation': 'L2 read'}]


@pytest.mark.parametrize('line', ['{"record": "guesses"}', '{"device": "cpu"}', '[1]', 'seconds: 3'])
def test_a_line_that_is_no_record_is_named(tmp_path: Path, line: str) -> None:
    from results import read_results

    path = tmp_path / 'cpu.jsonl'
    path.write_text('{"record": "machine"}\n' + line + '\n')
    with pytest.raises(ValueError, match=r'cpu\.jsonl, line 2'):
        read_results(path)


def test_selections_name_cases() -> None:
    from shapes import CASES, SELECTIONS

    for names in SELECTIONS.values():
        assert set(names) <= set(CASES)
        assert {CASES[name].operator for name in names} == {'ms_deform_attn', 'dcnv3'}


# Megabytes, counted by hand: pixels * channels * bytes for value and output, 3 numbers a point.
# case, precision: corners, memory of the forward, memory of the backward, sums
TRAFFIC = {
    ('mask2former-1024-896', 'float32'): (3237, 211, 354, 3237),
    ('mask2former-1024-896', 'bfloat16-points32'): (1618, 143, 253, 3237),
    ('vit-adapter-l-896-injector', 'float32'): (308, 47, 88, 308),
    ('internimage-l-896-stage1', 'float32'): (1156, 118, 205, 1156),
}


@pytest.mark.parametrize(('case', 'precision'), TRAFFIC)
def test_bytes_that_nothing_avoids(case: str, precision: str) -> None:
    from bounds import traffic
    from shapes import CASES

    forward, backward = traffic(CASES[case], 1, precision)
    assert (forward.corners, forward.sums) == (backward.corners, 0)
    found = (forward.corners, forward.memory, backward.memory, backward.sums)
    assert found == pytest.approx([megabytes * 1e6 for megabytes in TRAFFIC[case, precision]], abs=0.6e6)
    both = traffic(CASES[case], 3, precision)
    assert [part.memory for part in both] == [3 * part.memory for part in (forward, backward)]


def ceiling(operation: str, footprint: int, bytes_per_second: float) -> dict[str, object]:
    return {'operation': operation, 'footprint': footprint, 'bytes_per_second': bytes_per_second}


def test_the_slowest_ceiling_bounds() -> None:
    from bounds import Ceilings, least_time, traffic
    from shapes import TINY

    entries = [
        ceiling('L1 read', 1 << 15, 32e12), ceiling('DRAM copy', 1 << 30, 1e9),
        ceiling('L2 read', 1 << 10, 6e12), ceiling('L2 read', 1 << 20, 5e12), ceiling('RED f32', 1 << 10, 1e7),
        ceiling('RED v4.f32', 1 << 10, 3e7), ceiling('RED f32', 1 << 20, 1e6), ceiling('RED v4.bf16x2', 1 << 10, 9e9),
    ]  # fmt: skip
    ceilings = Ceilings(entries)
    assert ceilings.at('L2 read', 3000) == 6e12, 'of the nearest size'
    case = TINY['tiny-convolution']  # whose gradient has 20,736 bytes
    forward, backward = traffic(case, 1, 'float32')
    least = least_time(case, 1, 'forward', 'float32', ceilings)
    assert (least.seconds, least.by) == (forward.memory / 1e9, 'DRAM copy')
    least = least_time(case, 1, 'forward+backward', 'float32', ceilings)
    assert (least.seconds, least.by) == (forward.memory / 1e9 + backward.sums / 3e7, 'RED')
    assert not Ceilings(entries[1:]), 'one is missing'


def test_table_of_a_gpu_says_how_near_it_is() -> None:
    from cuda_table import cuda_table
    from results import LISTS

    timed = {'timed': 'graph', 'copies': 5, 'host_seconds': 2.5e-4}
    times = [
        {**entry('shared_ops', 'float32', [3e-5, 2e-5, 4e-5]), **timed, 'case': 'tiny-scaled'},
        {**entry('shared_ops', 'float16', [6e-4]), **timed, 'case': 'retired', 'timed': 'sleep', 'host_seconds': None},
        {**entry('peer', 'float32', [9e-5]), **timed, 'case': 'tiny-scaled'},
    ]
    results = {**{name: [] for name in LISTS}, 'times': times}
    assert cuda_table(results).splitlines()[2:] == [
        '| tiny-scaled | 1 | forward | float32 | 30.0 | 250 |',
        '| retired | 1 | forward | float16 | 600 (not a graph) |  |',
    ]
    # 70 groups: 560 numbers in and out, 630 points of three; at 806 MB/s 15 us for the 12,040 bytes
    operations = ('L1 read', 'L2 read', 'RED f32', 'DRAM copy')
    results['ceilings'] = [ceiling(name, 1 << 20, 802.6667e6 if 'DRAM' in name else 9e12) for name in operations]
    shares, shapes = cuda_table(results).split('\n\n')
    assert shares.splitlines()[2:] == ['| DCNv3 | forward | float32 | 50% | 50% (tiny-scaled, batch 1) | 1 |']
    assert shapes.splitlines()[2] == (
        '| tiny-scaled | 1 | forward | float32 | 30.0 | 250 | 15.0 | DRAM copy | 50% | 50% |'
    )
    results['times'] = [entry('shared_ops', 'float32', [1.0])]
    assert cuda_table(results) == '', 'nothing of this is known of a CPU'


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
