"""What an original program computed, and our models brought to the same state to be compared with it."""

import copy
import functools
import gzip
import importlib
import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import revert_sync_batchnorm
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch import Tensor, nn

from support.synthetic import compare, synthetic_state_dict

# Relative to the largest value of an output. The originals' own noise in float32 is up to 5e-6.
TOLERANCES = {torch.float64: 1e-6, torch.float32: 1e-4}
# Where a sampling point crosses a pixel, the originals' own float32 gradients are off by 1e-2 and more.
GRADIENT_TOLERANCES = {torch.float64: 1e-6, torch.float32: 1e-2}


class Reference:
    """The folder ``tests/<package>/reference``.

    Args:
        package: import name of one of our packages.
    """

    def __init__(self, package: str) -> None:
        self.folder = Path(__file__).parents[1] / package / 'reference'
        self.config_dir = importlib.import_module(package).CONFIG_DIR

    def config_names(self, folder: str = '*') -> list[str]:
        """Return the package's configs, as ``<data set>/<name>.py``; those of one data set, or all."""
        leaves = [path.relative_to(self.config_dir) for path in self.config_dir.glob(f'{folder}/*.py')]
        return sorted(path.as_posix() for path in leaves if path.parts[0] != '_base_')

    def config(self, name: str, overrides: dict | None = None) -> Config:
        """Return our config, with some entries replaced (``{'model.test_cfg.mode': 'slide'}``), as an original says."""
        config = copy.deepcopy(_parsed(self.config_dir / name))
        config.merge_from_dict(new_schema(overrides or {}))
        return config

    def json(self, path: str) -> dict:
        """Return what a JSON file of the folder holds."""
        return _read_json(self.folder / path)

    def of_config(self, kind: str, name: str) -> dict:
        """Return what ``kind`` ('manifests', 'configs', 'optim') says of one config."""
        return self.json(f'{kind}/{name.removesuffix(".py").replace("/", "__")}.json.gz')

    def cases(self, kind: str) -> list[dict]:
        """Return the cases of ``kind`` ('forward', 'train'), with the stored samples beside their statistics."""
        cases = self.json(f'{kind}/cases.json')
        for case in cases:
            samples = np.load(self.folder / kind / f'{case["case"]}.npz')
            for group, prefix in (('outputs', ''), ('grads', 'grad.'), ('buffers_after', 'after.')):
                for key, entry in case.get(group, {}).items():
                    entry['samples'] = samples[prefix + key]
        return cases

    def checkpoint(self, manifest: str) -> dict[str, Tensor]:
        """Return the synthetic checkpoint of a manifest; like old files, it lacks what a model computes by itself."""
        return _checkpoint(self.folder / manifest)

    def model(self, case: dict, dtype: torch.dtype) -> nn.Module:
        """Return our segmentor with the config and the weights of ``case``, in evaluation mode."""
        model = revert_sync_batchnorm(build(self.config(case['config'], case['overrides'])))
        model.load_state_dict(self.checkpoint(case['manifest']), strict=True)
        return model.to(dtype).eval()


@functools.cache  # to parse a config takes fifty times as long as to copy it
def _parsed(path: Path) -> Config:
    return Config.fromfile(path)


def new_schema(overrides: dict) -> dict:
    """Return an original's entries as MMDetection 3 writes those of Mask2Former's transformers."""
    renamed = {}
    for key, value in overrides.items():
        if key.endswith('.transformerlayers.feedforward_channels'):
            continue  # stated again in ffn_cfgs
        key = key.replace('.transformerlayers.ffn_cfgs.', '.layer_cfg.ffn_cfg.')
        renamed[key.replace('.transformerlayers.attn_cfgs.', '.layer_cfg.self_attn_cfg.')] = value
        if '.transformer_decoder.transformerlayers.attn_cfgs.' in key:
            renamed[key.replace('.transformerlayers.attn_cfgs.', '.layer_cfg.cross_attn_cfg.')] = value
    return renamed


def new_names(names: Iterable[str]) -> dict[str, str]:
    """Return the parameter names of our models by those of the originals."""
    if not any('.attentions.' in name for name in names):
        return {name: name for name in names}
    from shared_ops.openmmlab.mask2former.old_names import new_name  # needs mmdet

    head = 'decode_head.'
    return {name: head + new_name(name.removeprefix(head)) if name.startswith(head) else name for name in names}


def _read_json(path: Path) -> dict:
    content = path.read_bytes()
    return json.loads(gzip.decompress(content) if path.suffix == '.gz' else content)


@functools.lru_cache(maxsize=1)  # drawing takes seconds, and cases of one manifest follow one another
def _checkpoint(manifest: Path) -> dict[str, Tensor]:
    keys = [(key, shape) for key, shape, _ in _read_json(manifest)['keys']]
    return {key: torch.from_numpy(value) for key, value in synthetic_state_dict(keys).items()}


def build(config: Config, device: str = 'cpu') -> nn.Module:
    """Build the segmentor of ``config``; on ``'meta'`` it takes neither memory nor time."""
    init_default_scope(config.default_scope)
    with torch.device(device):
        return MODELS.build(config.model)


def metas(image: Tensor) -> list[dict]:
    """Return what MMSegmentation wants to know of images that were not resized before and are not afterwards."""
    size = tuple(image.shape[-2:])
    return [{'ori_shape': size, 'img_shape': size, 'pad_shape': size} for _ in image]


def too_far(found: dict[str, float], entries: dict[str, dict], dtype: torch.dtype) -> dict[str, float]:
    """Return the deviations of gradients that are larger than they may be.

    Args:
        found: what :func:`deviations` returned for gradients.
        entries: statistics of the originals', by name; ``dev32`` is how far their own float32 was from their float64.
        dtype: what ours were computed in.
    """
    noise = {key: 2 * entry.get('dev32', 0.0) if dtype == torch.float32 else 0.0 for key, entry in entries.items()}
    return {key: value for key, value in found.items() if value >= max(GRADIENT_TOLERANCES[dtype], noise[key])}


def deviations(outputs: dict[str, Tensor], entries: dict[str, dict], prefix: str = '') -> dict[str, float]:
    """Return each output's largest deviation from the original's, relative to the original's largest value.

    Args:
        outputs: ours, by the originals' names; those that the original does not have are left out.
        entries: statistics and samples of the originals', by name.
        prefix: what stood before the names when the positions of the samples were drawn.

    Raises:
        KeyError: an output is missing.
        ValueError: the shape of an output differs.
    """
    return {key: compare(prefix + key, outputs[key].detach().double().numpy(), entry) for key, entry in entries.items()}
