"""What is refused on purpose is told in one line; anything else is a fault of the program and keeps its trace."""

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch

from shared_ops.errors import FileError, InputError, InstallationError, MissingFileError, StateError, UserError
from shared_ops.openmmlab.cli import main
from shared_ops.openmmlab.zoo import configs
from shared_ops.openmmlab.zoo.configs import Configs


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A package without configs."""
    module = ModuleType('some_package')
    vars(module).update(CONFIG_DIR=tmp_path, __version__='2.3.4')
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module.__name__


def fail_in_our_code(monkeypatch: pytest.MonkeyPatch, expression: str) -> None:
    """Let the look-up of a config fail, in a frame that belongs to its module."""
    find: Callable[..., Path] = eval(f'lambda self, name: {expression}', vars(configs))
    assert find.__globals__['__name__'] == 'shared_ops.openmmlab.zoo.configs'
    monkeypatch.setattr(Configs, 'find', find)


def test_a_refusal_is_one_line(package: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(package, ['path', 'nothing']) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("python -m some_package: error: config 'nothing' is neither")


@pytest.mark.parametrize(
    ('expression', 'kind'),
    [
        ("int('x')", ValueError),
        ('next(zip([1], [], strict=True))', ValueError),
        ("open('/does/not/exist')", FileNotFoundError),
        ('__import__("no_such_module")', ImportError),
        ("{}['x']", KeyError),
    ],
)
def test_a_bug_of_ours_keeps_its_trace(
    expression: str,
    kind: type[Exception],
    package: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fail_in_our_code(monkeypatch, expression)
    with pytest.raises(kind):
        main(package, ['path', 'nothing'])
    told = capsys.readouterr().err
    assert 'unexpected error' in told and 'bug of some_package 2.3.4: report it' in told


def test_want_of_memory_is_no_bug(
    package: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_in_our_code(monkeypatch, '(_ for _ in ()).throw(MemoryError("a smaller crop"))')
    with pytest.raises(MemoryError, match='a smaller crop'):
        main(package, ['path', 'nothing'])
    assert capsys.readouterr().err == ''


@pytest.mark.parametrize(
    ('kind', 'expected'),
    [
        (InputError, ValueError),
        (StateError, RuntimeError),
        (InstallationError, ImportError),
        (FileError, OSError),
        (MissingFileError, FileNotFoundError),
    ],
)
def test_callers_catch_what_they_expect(kind: type[UserError], expected: type[Exception]) -> None:
    error = kind('name is x')
    assert isinstance(error, expected) and isinstance(error, UserError) and str(error) == 'name is x'
    # OpenMMLab's registries and PyTorch's data loaders make the error anew, with a longer message
    assert type(error)(f'class X: {error}').args == ('class X: name is x',)


def test_what_pytorch_raises_in_a_head_is_unexpected_mask2former() -> None:
    from shared_ops.openmmlab.mask2former.points import sample_points
    from shared_ops.openmmlab.mask2former.targets import mask_targets

    with pytest.raises(InputError):
        mask_targets(torch.tensor([[3]]), num_classes=2, ignore_index=255, dtype=torch.float32)
    with pytest.raises(RuntimeError) as failed:
        sample_points(torch.zeros(2, 3, 4), torch.zeros(2, 5, 6, 2))
    assert not isinstance(failed.value, UserError)
