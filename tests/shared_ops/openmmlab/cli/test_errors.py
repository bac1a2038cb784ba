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


def test_what_pytorch_raises_in_a_head_is_unexpected_mask2former() -> None:
    from shared_ops.openmmlab.mask2former.points import sample_points
    from shared_ops.openmmlab.mask2former.targets import mask_targets

    with pytest.raises(ValueError) as refused:
        mask_targets(torch.tensor([[3]]), num_classes=2, ignore_index=255, dtype=torch.float32)
    assert is_bad_input(refused.value)
    with pytest.raises(RuntimeError) as failed:
        sample_points(torch.zeros(2, 3, 4), torch.zeros(2, 5, 6, 2))
    assert not is_bad_input(failed.value)
