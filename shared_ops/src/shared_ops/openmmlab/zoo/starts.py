"""The files that training starts from: classifiers' weights, and models of other data sets."""

from __future__ import annotations

import re
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from ...errors import InputError
from .addresses import file_name, is_address
from .checkpoints import fetch
from .models import published_models

if TYPE_CHECKING:
    from mmengine.config import Config

_DEIT = 'https://dl.fbaipublicfiles.com/deit/'
_VIT_ADAPTER = 'https://github.com/czczup/ViT-Adapter/releases/download/'
# BEiT's own instructions name this address; ViT-Adapter's name an older one of the same files.
_BEIT = 'https://github.com/addf400/files/releases/download/'
_INTERNIMAGE = 'https://huggingface.co/OpenGVLab/InternImage/resolve/main/'
# Files that the configs name, and the folders that they are published in.
PUBLISHED_IN = {
    'deit_tiny_patch16_224-a1311bcf.pth': _DEIT,
    'deit_small_patch16_224-cd65a155.pth': _DEIT,
    'deit_base_patch16_224-b5f2ef4d.pth': _DEIT,
    'Ti_16-i21k-300ep-lr_0.001-aug_none-wd_0.03-do_0.0-sd_0.0--imagenet2012-steps_20k-lr_0.03-res_224.pth': (
        _VIT_ADAPTER + 'v0.3.1/'
    ),
    'B_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.0-sd_0.0--imagenet2012-steps_20k-lr_0.01-res_384.pth': (
        _VIT_ADAPTER + 'v0.3.1/'
    ),
    'L_16-i21k-300ep-lr_0.001-aug_medium1-wd_0.1-do_0.1-sd_0.1--imagenet2012-steps_20k-lr_0.01-res_384.pth': (
        _VIT_ADAPTER + 'v0.1.6/'
    ),
    'beit_base_patch16_224_pt22k_ft22k.pth': _BEIT + 'v1.0/',
    'beit_large_patch16_224_pt22k_ft22k.pth': _BEIT + 'v1.0/',
    'beitv2_large_patch16_224_pt1k_ft21k.pth': _BEIT + 'BEiT-v2/',
    'uni-perceiver-large-L24-H1024-224size-pretrained_converted.pth': _VIT_ADAPTER + 'v0.3.1/',
    'internimage_t_1k_224.pth': _INTERNIMAGE,
    'internimage_s_1k_224.pth': _INTERNIMAGE,
    'internimage_b_1k_224.pth': _INTERNIMAGE,
    'internimage_l_22k_192to384.pth': _INTERNIMAGE,
    'internimage_xl_22k_192to384.pth': _INTERNIMAGE,
    'internimage_h_jointto22k_384.pth': _INTERNIMAGE,
    'internimage_g_pretrainto22k_384.pth': _INTERNIMAGE,
}


def start_files(config: Config) -> list[str]:
    """Return what training reads before its first iteration, as the config names it: addresses, and local files.

    A model of another data set (``load_from``) comes after the classifier, whose file is read all the same.
    """
    backbone = config.model.backbone
    sources = [
        config.model.get('pretrained'),
        backbone.get('pretrained'),
        (backbone.get('init_cfg') or {}).get('checkpoint'),
        config.get('load_from'),
    ]
    return [source for source in dict.fromkeys(sources) if source and (is_address(source) or '://' not in source)]


def missing_start_files(config: Config) -> list[str]:
    """Return those of :func:`start_files` that are local and are not there."""
    return [
        source for source in start_files(config) if not is_address(source) and not Path(source).expanduser().is_file()
    ]


def fetch_start_file(source: str, package: str, *, folder: Path | None = None, mirror: str | None = None) -> Path:
    """Return the local file of what a config starts from; download it if it is not there.

    Args:
        source: as the config names it.
        package: import name of the config's package.
        folder: where the file is looked for and put; if None where the config looks for it: a local file at its path,
            one with an address in :func:`~shared_ops.openmmlab.zoo.cache.cache_folder`.
        mirror: see :func:`~shared_ops.openmmlab.zoo.addresses.at_mirror`.

    Raises:
        ValueError: the source is local, is not there, and is no file that was published.
        DownloadError: the file could not be had; the message says what can be done.
    """
    if is_address(source):
        name = file_name(source)
        return fetch(source, name, folder, sha256=published_hash(name), mirror=mirror)
    path = Path(source).expanduser()
    if folder is None and path.is_file():
        return path
    address = published_address(path.name, package)
    if address is None:
        raise InputError(f'{source} is not there, and is no file that was published; bring it there yourself')
    return fetch(address, path.name, folder or path.parent, sha256=published_hash(path.name), mirror=mirror)


def published_address(name: str, package: str) -> str | None:
    """Return where a file that a package's config starts from is published (an archive may hold it), None if nowhere.

    Args:
        name: of the file.
        package: import name of the package.
    """
    if name in PUBLISHED_IN:
        return PUBLISHED_IN[name] + name
    stem = name.split('.')[0]
    weights = (model.weights for model in published_models(package).values() if model.weights)
    return next((address for address in weights if PurePosixPath(address).name.split('.')[0] == stem), None)


def published_hash(name: str) -> str | None:
    """Return the digits that the SHA-256 of a published file begins with, where its name says them.

    Other files may have a date or a revision at that place.
    """
    found = re.search(r'-([0-9a-f]{8,64})\.pth$', name)
    return found[1] if found and name in PUBLISHED_IN else None
