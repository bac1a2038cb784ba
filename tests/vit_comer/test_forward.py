"""What the original computes with the same weights; crops of slide inference one by one."""

import pytest
import torch
from mmengine.model import revert_sync_batchnorm
from torch import nn

from support.originals import check_forward
from support.reference import TOLERANCES, Reference, build, metas

REFERENCE = Reference('vit_comer')
CASES = REFERENCE.cases('forward')
TINY = 'ade20k/upernet_vit_comer_tiny_512_160k_ade20k.py'


@pytest.mark.parametrize('dtype', TOLERANCES, ids=str)
@pytest.mark.parametrize('case', CASES, ids=[case['case'] for case in CASES])
def test_outputs(case: dict, dtype: torch.dtype) -> None:
    check_forward(REFERENCE, case, dtype)


@pytest.mark.parametrize('name', REFERENCE.config_names('ade20k'))
def test_every_config_runs(name: str) -> None:
    # without values, so that the large ones cost nothing; 500 is no multiple of 32
    model = build(REFERENCE.config(name), device='meta').eval()
    image = torch.empty(2, 3, 500, 512, device='meta')
    assert model.encode_decode(image, metas(image)).shape == (2, 150, 500, 512)


@torch.no_grad()
def test_slide_inference_is_the_mean_of_its_crops() -> None:
    changes = {'embed_dim': 24, 'depth': 4, 'num_heads': 3, 'deform_num_heads': 2, 'conv_inplane': 4, 'dim_ratio': 2.0}
    changes['interaction_indexes'] = [[0, 0], [1, 1], [2, 2], [3, 3]]
    overrides = {f'model.backbone.{name}': value for name, value in changes.items()}
    overrides['model.decode_head'] = {'in_channels': [24] * 4, 'channels': 8, 'num_classes': 7}
    overrides['model.auxiliary_head'] = {'in_channels': 24, 'channels': 8, 'num_classes': 7}
    overrides['model.backbone.window_attn'], overrides['model.backbone.window_size'] = False, None
    overrides['model.test_cfg'] = {'mode': 'slide', 'crop_size': (64, 96), 'stride': (40, 64)}
    model = revert_sync_batchnorm(build(REFERENCE.config(TINY, overrides))).double().eval()
    for parameter in model.parameters():
        if parameter.dim() < 2:
            nn.init.normal_(parameter, std=0.2)

    image = torch.randn(2, 3, 110, 200, dtype=torch.float64)
    sums, counts = torch.zeros(2, 7, 110, 200, dtype=torch.float64), torch.zeros(110, 200)
    for top in (0, 40, 110 - 64):
        for left in (0, 64, 200 - 96):
            crop = image[:, :, top : top + 64, left : left + 96].contiguous()
            sums[:, :, top : top + 64, left : left + 96] += model.encode_decode(crop, metas(crop))
            counts[top : top + 64, left : left + 96] += 1
    torch.testing.assert_close(model.inference(image, metas(image)), sums / counts, rtol=1e-10, atol=1e-12)
