import pytest

from shared_ops.openmmlab import prepare

prepare()


@pytest.fixture
def mask2former():
    """The package, which only imports where MMDetection is installed."""
    import shared_ops.openmmlab.mask2former.head as head

    return head
