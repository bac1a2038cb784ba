"""The marks of the table of configs say what the references hold, and no more."""

import json
from pathlib import Path

import pytest
from repo import verified
from repo.documents import CHINESE
from repo.verified import ALIKE, NONE, SMALLER, THIS, marks

FAMILIES = {'a/tiny': ('x',), 'a/large': ('x',), 'b/other': ('y',), 'b/bare': ('z',)}


@pytest.fixture
def reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """References of two configs of four, of which one was made smaller."""
    monkeypatch.setattr(verified, 'TESTS', tmp_path)
    folder = tmp_path / 'toy' / 'reference'
    cases = {
        'forward': [
            {'config': 'a/tiny.py', 'overrides': {'model.test_cfg.mode': 'slide'}},
            {'config': 'b/other.py', 'overrides': {'model.backbone.depth': 2, 'model.backbone.with_cp': False}},
        ],
        'train': [{'config': 'a/tiny.py', 'overrides': None}],
    }
    for kind, entries in cases.items():
        (folder / kind).mkdir(parents=True)
        (folder / kind / 'cases.json').write_text(json.dumps(entries))
    (folder / 'manifests').mkdir()
    (folder / 'manifests' / 'a__tiny.json.gz').touch()
    return folder


def test_marks(reference: Path) -> None:
    def row(name: str) -> list[str]:
        found = marks('toy', name, FAMILIES)
        return [found[column] for column in ('keys', 'optimizer', 'forward', 'training step', 'label map')]

    assert row('a/tiny') == [THIS, NONE, THIS, THIS, NONE]
    assert row('a/large') == [NONE, NONE, ALIKE, ALIKE, NONE]
    assert row('b/other') == [NONE, NONE, SMALLER, NONE, NONE]
    assert row('b/bare') == [NONE] * 5


@pytest.mark.parametrize('readme', [verified.TESTS.parent / 'README.md', CHINESE], ids=['English', 'Chinese'])
def test_the_marks_are_explained_above_the_table(readme: Path) -> None:
    legend = readme.read_text(encoding='utf-8').split('<!-- zoo: begin')[0].rpartition('\n- ')[2]
    assert all(mark in legend for mark in (THIS, SMALLER, ALIKE))
