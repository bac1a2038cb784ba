"""ImageNet weights as a start for training."""

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import InputError, MissingFileError, StateError
from .checkpoint import load_from_file, load_from_web
from .zoo.addresses import is_address
from .zoo.errors import DownloadError
from .zoo.starts import PUBLISHED_IN

# What to say to a command so that training starts otherwise.
_OTHERWISE = (
    'start from other weights: --cfg-options model.pretrained=timm://NAME, or model.pretrained=None for random ones'
)
TIMM = 'timm://'


def read_pretrained(source: str, otherwise: str = _OTHERWISE) -> Mapping[str, Tensor]:
    """Read the weights of an ImageNet classifier.

    Args:
        source: a file of PyTorch (``.pth``) or of AugReg (``.npz``), an address (http, https), or ``timm://NAME``,
            which downloads the weights of timm's model of that name.
        otherwise: how the config is told to start without them, for messages.

    Raises:
        FileNotFoundError: there is no such file; the message says where it is published.
        ValueError: it cannot be read, or timm knows no model of that name.
        RuntimeError: timm has no weights for it, or they could not be downloaded.
    """
    if source.startswith(TIMM):
        return _read_timm(source.removeprefix(TIMM))
    if is_address(source):
        try:
            return _state_dict(load_from_web(source))
        except DownloadError as error:
            raise DownloadError(f'{error}; or {otherwise}') from error
    path = Path(source).expanduser()
    if not path.is_file():
        folder = PUBLISHED_IN.get(path.name)
        command = 'python -m PACKAGE download CONFIG --pretrained'
        advice = f'download {folder}{path.name} to {path} ({command} does)' if folder else 'name a file that does'
        raise MissingFileError(f'pretrained weights {source} do not exist; {advice}, or {otherwise}')
    if path.suffix == '.npz':
        return _read_augreg(path)
    return _state_dict(load_from_file(source))


def copy_pretrained(
    module: nn.Module,
    weights: Mapping[str, Tensor],
    prefixes: tuple[str, ...],
    source: str,
    advice: str = 'depth, embed_dim, patch_size, img_size and pretrain_size must be those of the weights',
) -> None:
    """Copy pretrained weights into the part of a backbone that has them.

    Args:
        module: the backbone.
        weights: tensors by the backbone's names; those of other parts (the classifier's head) are left out.
        prefixes: how the names of that part begin.
        source: where the weights come from, for messages.
        advice: what the model's arguments must be for the weights to fit, for messages.

    Raises:
        RuntimeError: that part of the backbone and the weights do not have the same names and shapes.
    """
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    target = {name: value for name, value in tensors.items() if name.startswith(prefixes)}
    given = {name: value for name, value in weights.items() if name.startswith(prefixes)}
    misfits = [f'{name} is missing' for name in target if name not in given]
    misfits += [f'{name} is not in the model' for name in given if name not in target]
    misfits += [
        f'{name} is {list(given[name].shape)}, the model has {list(value.shape)}'
        for name, value in target.items()
        if name in given and given[name].shape != value.shape
    ]
    if misfits:
        more = f', and {len(misfits) - 20} more' if len(misfits) > 20 else ''
        raise StateError(
            f'pretrained weights {source} do not fit {type(module).__name__}: {", ".join(misfits[:20])}{more}. The '
            f"model's {advice}"
        )
    with torch.no_grad():
        for name, value in target.items():
            value.copy_(given[name])


def _state_dict(checkpoint: dict[str, Any]) -> Mapping[str, Tensor]:
    weights: Mapping[str, Tensor] = checkpoint['state_dict']
    return weights


def _read_timm(name: str) -> Mapping[str, Tensor]:
    import timm

    if not timm.is_model(name):
        near = difflib.get_close_matches(name, timm.list_models(), n=3)
        hint = f'did you mean {" or ".join(near)}?' if near else 'timm.list_models() lists them'
        raise InputError(f'pretrained is {TIMM}{name}, but timm has no model {name}; {hint}')
    try:
        weights: Mapping[str, Tensor] = timm.create_model(name, pretrained=True, num_classes=0).state_dict()
    except Exception as error:  # what a failed download raises depends on the hub behind it
        raise StateError(
            f"timm's weights of {name} could not be had ({type(error).__name__}: {error}); check the connection, or "
            f'name a file'
        ) from error
    return weights


def _read_augreg(path: Path) -> Mapping[str, Tensor]:
    """Read a file of AugReg (https://arxiv.org/abs/2106.10270) with timm's converter."""
    from timm.models.vision_transformer import VisionTransformer

    try:
        with np.load(path) as arrays:
            shapes = {name: arrays[name].shape for name in arrays.files}
    except (OSError, ValueError, EOFError) as error:
        raise InputError(f'pretrained weights {path} cannot be read as a NumPy archive: {error}') from error
    query = 'Transformer/encoderblock_0/MultiHeadDotProductAttention_1/query/kernel'
    if query not in shapes or 'embedding/kernel' not in shapes:
        raise InputError(f'pretrained weights {path} are no vision transformer of AugReg; arrays: {sorted(shapes)[:5]}')
    patch_size = shapes['embedding/kernel'][0]
    grid = round((shapes['Transformer/posembed_input/pos_embedding'][1] - 1) ** 0.5)
    classifier = VisionTransformer(
        img_size=grid * patch_size,
        patch_size=patch_size,
        embed_dim=shapes[query][0],
        depth=len({name.split('/')[1] for name in shapes if name.startswith('Transformer/encoderblock_')}),
        num_heads=shapes[query][1],
        num_classes=0,
    )
    classifier.load_pretrained(str(path))
    weights: Mapping[str, Tensor] = classifier.state_dict()
    return weights
