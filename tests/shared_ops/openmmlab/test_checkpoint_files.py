"""A checkpoint is whole or is not there, whatever happens while it is written."""

import errno
import os
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.logging import MessageHub

from shared_ops.openmmlab import prepare

prepare()
from mmseg.registry import HOOKS  # noqa: E402

from shared_ops.openmmlab.checkpoint_files import WholeFileBackend, is_whole, whole_checkpoint  # noqa: E402


def save(path: Path, when: int, size: int | None = None) -> Path:
    torch.save({'state_dict': {'weight': torch.zeros(100)}}, path)
    if size is not None:
        os.truncate(path, size)
    os.utime(path, (when, when))
    return path


def test_what_was_there_stays_when_the_disk_is_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / 'work' / 'iter_2.pth'
    WholeFileBackend().put(b'first', path)

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, 'fsync', full)
    with pytest.raises(OSError, match=r'iter_2\.pth \(0 MB\) was not written: No space left.*--resume') as caught:
        WholeFileBackend().put(b'second', path)
    assert caught.value.errno == errno.ENOSPC
    assert [file.read_bytes() for file in path.parent.iterdir()] == [b'first']
    monkeypatch.undo()
    WholeFileBackend().put(b'third', path)
    assert [file.read_bytes() for file in path.parent.iterdir()] == [b'third']


@pytest.mark.parametrize('size', [0, 10, 500])
def test_a_truncated_checkpoint_gives_way_to_the_one_before(tmp_path: Path, size: int) -> None:
    for step in (2, 4):
        save(tmp_path / f'iter_{step}.pth', when=step)
    save(tmp_path / 'best_mIoU_iter_5.pth', when=5)  # has no state of the optimizer
    named = save(tmp_path / 'iter_6.pth', when=6, size=size)
    assert not is_whole(named)
    for noted in (named, tmp_path / 'iter_8.pth', None):
        assert whole_checkpoint(noted, tmp_path) == tmp_path / 'iter_4.pth'


def test_the_noted_checkpoint_counts_while_it_is_whole(tmp_path: Path) -> None:
    noted = save(tmp_path / 'iter_2.pth', when=2)
    save(tmp_path / 'iter_9.pth', when=9)  # of another training, for example
    assert whole_checkpoint(noted, tmp_path) == noted
    folder = tmp_path / 'iter_4.pth'
    folder.mkdir()
    assert whole_checkpoint(folder, tmp_path) == folder
    assert whole_checkpoint(None, folder) is None
    assert whole_checkpoint(tmp_path / 'no.pth', folder) == tmp_path / 'no.pth'


class Runner(SimpleNamespace):
    """What the hook sees of a runner, which fails to save from some step on."""

    def __init__(self, work_dir: Path, fails_at: int = 1000) -> None:
        hub = MessageHub('test_checkpoint_files')
        super().__init__(
            work_dir=str(work_dir), iter=0, epoch=0, message_hub=hub, fails_at=fails_at, seen=[],
            logger=SimpleNamespace(info=print, warning=print), _resume=True, _load_from=None,
        )  # fmt: skip

    def save_checkpoint(self, out_dir, filename, *args, backend_args, **kwargs) -> None:
        self.seen.append(sorted(path.name for path in Path(out_dir).glob('*.pth')))
        if self.iter >= self.fails_at:
            raise OSError(errno.ENOSPC, 'full')
        save(Path(out_dir, filename), when=self.iter)


def hook_and_runner(work: Path, **options) -> tuple:
    work.mkdir(exist_ok=True)
    hook = HOOKS.build(dict(type='SafeCheckpointHook', by_epoch=False, interval=2, **options))
    runner = Runner(work)
    hook.before_train(runner)
    return hook, runner


def iterate(hook, runner, steps: range) -> None:
    for runner.iter in steps:
        hook.after_train_iter(runner, 0)


@pytest.mark.parametrize('keep', [1, 2])
def test_an_old_checkpoint_goes_when_the_new_one_is_there(tmp_path: Path, keep: int) -> None:
    hook, runner = hook_and_runner(tmp_path / 'work', max_keep_ckpts=keep, save_last=False)
    iterate(hook, runner, range(8))
    assert runner.seen == [[f'iter_{step}.pth' for step in (2, 4, 6, 8) if before - 2 * keep <= step < before]
                           for before in (2, 4, 6, 8)]  # fmt: skip
    left = [f'iter_{step}.pth' for step in (2, 4, 6, 8)][-keep:]
    assert sorted(path.name for path in (tmp_path / 'work').glob('*.pth')) == left
    runner.fails_at = 9
    with pytest.raises(OSError, match='full'):
        iterate(hook, runner, range(8, 10))
    assert sorted(path.name for path in (tmp_path / 'work').glob('*.pth')) == left
    assert (tmp_path / 'work' / 'last_checkpoint').read_text() == str(tmp_path / 'work' / 'iter_8.pth')


def test_the_best_checkpoint_goes_when_a_better_one_is_there(tmp_path: Path) -> None:
    hook, runner = hook_and_runner(tmp_path / 'work', save_best='mIoU', rule='greater', max_keep_ckpts=1)
    for runner.iter, score in ((3, 10.0), (5, 5.0), (7, 20.0)):
        hook._save_best_checkpoint(runner, {'mIoU': score})
    assert runner.seen[-1] == ['best_mIoU_iter_3.pth']
    assert [path.name for path in (tmp_path / 'work').glob('best*')] == ['best_mIoU_iter_7.pth']
    assert runner.message_hub.get_info('best_ckpt').endswith('best_mIoU_iter_7.pth')


def test_the_runner_is_told_what_to_resume_from(tmp_path: Path) -> None:
    work = tmp_path / 'work'
    hook, runner = hook_and_runner(work)
    hook.before_run(runner)
    assert runner._load_from is None
    save(work / 'iter_2.pth', when=2)
    (work / 'last_checkpoint').write_text(str(save(work / 'iter_4.pth', when=4)))
    hook.before_run(runner)
    assert runner._load_from is None
    os.truncate(work / 'iter_4.pth', 100)
    hook.before_run(runner)
    assert runner._load_from == str(work / 'iter_2.pth')


def test_a_store_is_left_to_mmengine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """``s3://`` is no folder: nothing is written there as a file, and addresses keep their slashes."""
    address, removed = 's3://bucket/models', []
    hook = HOOKS.build(
        dict(type='SafeCheckpointHook', by_epoch=False, interval=2, max_keep_ckpts=1, save_last=False, out_dir=address)
    )
    assert hook.backend_args is None
    hook.out_dir, hook.keep_ckpt_ids = f'{address}/work', [2]
    hook.file_backend = SimpleNamespace(
        join_path=lambda *parts: '/'.join(parts), isfile=lambda path: path in removed or not removed.append(path),
        remove=lambda path: None,
    )  # fmt: skip
    runner = Runner(tmp_path)
    monkeypatch.setattr(runner.__class__, 'save_checkpoint', lambda *args, **kwargs: None)
    hook._save_checkpoint_with_step(runner, 4, {})
    assert removed == [f'{address}/work/iter_2.pth']
    hook.before_run(runner)
    assert runner._load_from is None
