"""Pictures through a Mask2Former together, and in mixed precision."""

from pathlib import Path

import vit_adapter

import numpy as np
import torch

from shared_ops.openmmlab.inference.segmenter import Segmenter
from support.tiny import build
from support.tiny_mask2former import write_mask2former_config


def test_together_and_in_bfloat16(tmp_path: Path) -> None:
    base = vit_adapter.CONFIG_DIR / 'ade20k' / 'mask2former_beit_adapter_large_640_160k_ade20k_ss.py'
    config = write_mask2former_config(tmp_path / 'tiny.py', base)
    torch.save({'state_dict': build(config).state_dict()}, tmp_path / 'tiny.pth')
    random = np.random.RandomState(0)
    pictures = [random.randint(0, 256, (*size, 3)).astype(np.uint8) for size in [(70, 90), (66, 64), (70, 90)]]

    segmenter = Segmenter.load(config, str(tmp_path / 'tiny.pth'), device='cpu')
    alone = [segmenter([picture], logits=True)[0] for picture in pictures]
    for one, other in zip(alone, segmenter(pictures, logits=True)):
        np.testing.assert_allclose(other.logits, one.logits, atol=1e-5)
    rounded = Segmenter.load(config, str(tmp_path / 'tiny.pth'), device='cpu', amp=torch.bfloat16)
    for one, other in zip(alone, rounded(pictures, logits=True)):
        difference = np.abs(other.logits - one.logits).max() / np.abs(one.logits).max()
        assert 1e-4 < difference < 0.04  # 0.006 to 0.011 were measured
        assert other.logits.dtype == np.float32
