"""What the READMEs say that the user has: a few pictures in the folders of ADE20K, a photograph, a checkpoint."""

from __future__ import annotations

import shutil
from pathlib import Path

from run_blocks import ENVIRONMENT

CONFIG = 'upernet_deit_adapter_tiny_512_160k_ade20k'
# The name of its published file.
PUBLISHED = 'upernet_deit_adapter_tiny_512_160_ade20k.pth.tar'
# Few, because every picture is segmented several times over.
PICTURES = {'training': 4, 'validation': 2}


def supply_readme(target: Path) -> None:
    """Draw pictures, and save a model of random weights under the keys of the published checkpoint."""
    import vit_adapter

    import cv2
    import numpy as np
    import torch
    from mmengine import Config
    from mmseg.registry import MODELS
    from mmseg.utils import register_all_modules

    random = np.random.RandomState(0)
    data = target / 'data' / 'ade' / 'ADEChallengeData2016'
    for split, number in PICTURES.items():
        for kind, suffix, shape in [('images', 'jpg', (4, 6, 3)), ('annotations', 'png', (4, 6))]:
            (data / kind / split).mkdir(parents=True)
            for index in range(number):
                small = random.randint(0, 151, shape).astype(np.uint8)
                picture = cv2.resize(small, (192, 128), interpolation=cv2.INTER_NEAREST)
                cv2.imwrite(str(data / kind / split / f'scene_{index}.{suffix}'), picture)
    shutil.copy(data / 'images' / 'validation' / 'scene_0.jpg', target / 'photo.jpg')

    register_all_modules()
    config = Config.fromfile(vit_adapter.CONFIG_DIR / 'ade20k' / f'{CONFIG}.py')
    config.model.backbone.pretrained = None
    model = MODELS.build(config.model)
    (target / 'checkpoints').mkdir()
    checkpoint = target / 'checkpoints' / f'{CONFIG}.pth'
    torch.save({'state_dict': model.state_dict()}, checkpoint)
    # where `download` finds it instead of asking the web
    cache = target / ENVIRONMENT['TORCH_HOME'] / 'hub' / 'checkpoints'
    cache.mkdir(parents=True)
    shutil.copy(checkpoint, cache / PUBLISHED)
