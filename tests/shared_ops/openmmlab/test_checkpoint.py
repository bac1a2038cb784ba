"""Files of every kind that people have: read without running code, or refused with a reason."""

import pickle
import re
import zipfile
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from shared_ops.openmmlab import prepare
from shared_ops.openmmlab.checkpoint import SOURCE, load_from_file
from support.checkpoints import RunsCode

prepare()


@pytest.fixture
def weights() -> OrderedDict[str, torch.Tensor]:
    return OrderedDict({'backbone.weight': torch.arange(6.0).reshape(2, 3), 'decode_head.bias': torch.ones(5)})


@pytest.mark.parametrize('wrapper', [None, 'state_dict', 'model', 'module'])
@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_wrappers_and_prefixes(tmp_path: Path, weights: dict[str, torch.Tensor], wrapper: str, prefix: str) -> None:
    renamed = {prefix + key: value for key, value in weights.items()}
    torch.save(renamed if wrapper is None else {wrapper: renamed, 'epoch': 3}, tmp_path / 'weights.pth')
    checkpoint = CheckpointLoader.load_checkpoint(str(tmp_path / 'weights.pth'), 'cpu')
    assert list(checkpoint['state_dict']) == list(weights)
    for key, value in weights.items():
        assert torch.equal(checkpoint['state_dict'][key], value)
    assert isinstance(checkpoint['meta'], dict)
    assert checkpoint['state_dict']._metadata[''][SOURCE] == str(tmp_path / 'weights.pth')


def test_legacy_format_of_torch(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    torch.save({'state_dict': weights}, tmp_path / 'old.pth', _use_new_zipfile_serialization=False)
    assert torch.equal(load_from_file(str(tmp_path / 'old.pth'))['state_dict']['decode_head.bias'], torch.ones(5))


def test_class_names_of_mmseg_0(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    meta = {'CLASSES': ('sky', 'tree'), 'PALETTE': [[1, 2, 3], [4, 5, 6]], 'iter': 7}
    torch.save({'state_dict': weights, 'meta': meta, 'optimizer': {}}, tmp_path / 'old.pth')
    checkpoint = load_from_file(str(tmp_path / 'old.pth'))
    assert checkpoint['meta']['dataset_meta'] == {'classes': ('sky', 'tree'), 'palette': [[1, 2, 3], [4, 5, 6]]}
    assert checkpoint['meta']['iter'] == 7
    assert 'optimizer' in checkpoint


def test_what_mmengine_saves_beside_weights(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    history = HistoryBuffer([1.0, 2.0, 4.0], [1, 1, 1])
    numbers = {'scalar': np.float64(1.5), 'integer': np.int64(3), 'array': np.arange(4, dtype=np.float32)}
    torch.save({'state_dict': weights, 'message_hub': {'loss': history}, 'numbers': numbers}, tmp_path / 'iter.pth')
    checkpoint = load_from_file(str(tmp_path / 'iter.pth'))
    assert checkpoint['message_hub']['loss'].mean() == history.mean()
    assert checkpoint['message_hub']['loss'].statistics('max') == 4.0
    assert checkpoint['numbers']['scalar'] == 1.5
    assert checkpoint['numbers']['array'].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize('legacy', [False, True])
@pytest.mark.parametrize('place', ['beside', 'inside', 'whole'])
def test_no_pickle_is_executed(
    tmp_path: Path, weights: dict[str, torch.Tensor], place: str, legacy: bool, capfd: pytest.CaptureFixture[str]
) -> None:
    marker = tmp_path / 'marker'
    trap = RunsCode(marker)
    content = {
        'beside': {'state_dict': weights, 'meta': trap},
        'inside': {'state_dict': {**weights, 'decode_head.bias': trap}},
        'whole': trap,
    }[place]
    torch.save(content, tmp_path / 'trap.pth', _use_new_zipfile_serialization=not legacy)
    with pytest.raises(ValueError, match=r'trap\.pth holds more than tensors.*refused') as error:
        CheckpointLoader.load_checkpoint(str(tmp_path / 'trap.pth'), 'cpu')
    assert 'mkdir' in str(error.value), 'the message should name what was asked for'
    assert not marker.exists()
    torch.load(tmp_path / 'trap.pth', weights_only=False)
    assert marker.exists(), 'the trap itself has to work, or this test proves nothing'


def test_getattr_serves_no_other_purpose(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    class AsksForMore:
        def __reduce__(self) -> tuple[object, tuple[object, str]]:
            return getattr, (np.ndarray, 'tofile')

    torch.save({'state_dict': weights, 'extra': AsksForMore()}, tmp_path / 'asks.pth')
    with pytest.raises(ValueError, match='refused'):
        load_from_file(str(tmp_path / 'asks.pth'))


def test_plain_pickle_is_not_executed(tmp_path: Path) -> None:
    marker = tmp_path / 'marker'
    (tmp_path / 'plain.pth').write_bytes(pickle.dumps({'state_dict': RunsCode(marker)}))
    with pytest.raises(ValueError, match=r'plain\.pth'):
        load_from_file(str(tmp_path / 'plain.pth'))
    assert not marker.exists()


@pytest.mark.parametrize('legacy', [False, True])
@pytest.mark.parametrize('kept', [0.0, 0.03, 0.5, 0.97])
def test_truncated_file(tmp_path: Path, kept: float, legacy: bool) -> None:
    whole = tmp_path / 'whole.pth'
    torch.save({'state_dict': {'weight': torch.rand(40, 30)}}, whole, _use_new_zipfile_serialization=not legacy)
    content = whole.read_bytes()
    (tmp_path / 'part.pth').write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(ValueError, match=r'part\.pth.*(truncated|damaged|empty)'):
        load_from_file(str(tmp_path / 'part.pth'))


def test_a_missing_device_is_not_the_files_fault(tmp_path: Path) -> None:
    torch.save({'state_dict': {'weight': torch.rand(3)}}, tmp_path / 'good.pth')
    with pytest.raises(RuntimeError, match='deserialize object on'):
        load_from_file(str(tmp_path / 'good.pth'), map_location='cuda:99')


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        (b'\n<!DOCTYPE html>\n<html><body>Sign in</body></html>', 'is a web page'),
        (b'<html><head></head></html>', 'is a web page'),
        (b'version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 9\n', 'git lfs pull'),
        (b'', 'is empty'),
        (b'just some text that is no checkpoint', 'damaged|not a file of PyTorch'),
        (b'\x89PNG\r\n\x1a\n' + bytes(range(256)), 'damaged|not a file of PyTorch'),
    ],
)
def test_files_of_other_kinds(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / 'other.pth').write_bytes(content)
    with pytest.raises(ValueError, match=r'other\.pth') as error:
        load_from_file(str(tmp_path / 'other.pth'))
    assert re.search(reason, str(error.value)), str(error.value)


def test_an_archive_with_a_checkpoint_in_it(tmp_path: Path) -> None:
    torch.save({'weight': torch.zeros(1)}, tmp_path / 'model.pth.tar')
    with zipfile.ZipFile(tmp_path / 'published.zip', 'w') as archive:
        archive.write(tmp_path / 'model.pth.tar', 'folder/model.pth.tar')
    with pytest.raises(ValueError, match=r'is an archive that holds folder/model\.pth\.tar; unpack it'):
        load_from_file(str(tmp_path / 'published.zip'))


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        ([torch.ones(2)], 'holds a list'),
        (torch.ones(3), 'holds a Tensor'),
        ({'epoch': 3, 'arch': 'vit'}, "holds no weights; its keys are ['arch', 'epoch']"),
        ({'state_dict': {}}, 'holds no weights'),
    ],
)
def test_contents_without_weights(tmp_path: Path, content: object, reason: str) -> None:
    torch.save(content, tmp_path / 'nothing.pth')
    with pytest.raises(ValueError, match=re.escape(reason)):
        load_from_file(str(tmp_path / 'nothing.pth'))


def test_missing_file_and_folder(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r'nowhere\.pth does not exist'):
        load_from_file(str(tmp_path / 'nowhere.pth'))
    with pytest.raises(FileNotFoundError, match='is a folder'):
        load_from_file(str(tmp_path))


def test_addresses_are_read_as_safely(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file in PyTorch's download cache is not downloaded again; what it holds is not trusted more than a file's."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path))
    (tmp_path / 'checkpoints').mkdir()
    torch.save({'state_dict': RunsCode(tmp_path / 'marker')}, tmp_path / 'checkpoints' / 'trap.pth')
    with pytest.raises(ValueError, match='refused'):
        CheckpointLoader.load_checkpoint('https://example.invalid/files/trap.pth?raw=1', 'cpu')
    assert not (tmp_path / 'marker').exists()
