"""A file is there as a whole, or what was there before is."""

from pathlib import Path

import pytest

from shared_ops.openmmlab.files import whole


def test_a_file_gets_its_name_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / 'folder' / 'that is made' / 'weights.pth.tar'
    with whole(path) as unfinished:
        unfinished.write_text('first')
        assert not path.exists() and unfinished.parent == path.parent
    with whole(path) as unfinished:
        unfinished.write_text('second')
        assert path.read_text() == 'first'
    assert path.read_text() == 'second' and list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize('failure', [RuntimeError, KeyboardInterrupt])
def test_what_was_there_stays_when_writing_fails(failure: type[BaseException], tmp_path: Path) -> None:
    path = tmp_path / 'sheet.png'
    path.write_text('first')
    with pytest.raises(failure), whole(path) as unfinished:
        unfinished.write_text('half of the sec')
        raise failure
    assert path.read_text() == 'first' and list(tmp_path.iterdir()) == [path]


def test_what_killed_processes_leave_does_not_pile_up(tmp_path: Path) -> None:
    with whole(tmp_path / 'sheet.png') as unfinished:
        left = unfinished
        unfinished.write_text('first')
    left.write_text('of a process that was killed')
    with whole(tmp_path / 'sheet.png') as unfinished:
        assert unfinished == left
        unfinished.write_text('second')
    assert [file.read_text() for file in tmp_path.iterdir()] == ['second']
