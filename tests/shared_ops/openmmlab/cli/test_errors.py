"""Only what our own code refuses on purpose goes without a trace."""

import pytest
import torch

from shared_ops.openmmlab.cli.configs import Configs
from shared_ops.openmmlab.cli.errors import is_bad_input


def test_refusals_of_ours(tmp_path) -> None:
    with pytest.raises(ValueError) as refused:
        Configs('some_package', tmp_path).find('nothing')
    assert is_bad_input(refused.value)


@pytest.mark.parametrize('fail', [lambda: int('x'), lambda: torch.zeros(2) + torch.zeros(3), lambda: {}['x']])
def test_everything_else_is_unexpected(fail) -> None:
    with pytest.raises((ValueError, RuntimeError, KeyError)) as failed:
        fail()
    assert not is_bad_input(failed.value)


def test_an_error_that_was_never_raised() -> None:
    assert not is_bad_input(ValueError('x'))
