"""What the original computes with the same weights."""

import pytest
import torch

from support.originals import check_forward
from support.reference import TOLERANCES, Reference, build, metas

REFERENCE = Reference('internimage')
CASES = REFERENCE.cases('forward')


@pytest.mark.parametrize('dtype', TOLERANCES, ids=str)
@pytest.mark.parametrize('case', CASES, ids=[case['case'] for case in CASES])
def test_outputs(case: dict, dtype: torch.dtype) -> None:
    check_forward(REFERENCE, case, dtype)


@pytest.mark.parametrize('name', REFERENCE.config_names())
def test_every_config_runs(name: str) -> None:
    # without values, so that the large ones cost nothing; 500 is no multiple of 32
    config = REFERENCE.config(name)
    model = build(config, device='meta').eval()
    image = torch.empty(2, 3, 500, 512, device='meta')
    classes = config.model.decode_head.num_classes
    assert model.encode_decode(image, metas(image)).shape == (2, classes, 500, 512)
