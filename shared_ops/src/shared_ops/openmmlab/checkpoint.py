"""Reading checkpoints of any age, without executing a pickle.

PyTorch's files are pickles, which can run any code. Ours are read with ``torch.load(weights_only=True)`` alone, also
where MMEngine would try again without it, and come out in the form that every entry point of MMSegmentation takes.
"""

import pickle
import re
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.dist import barrier, is_main_process
from mmengine.logging import HistoryBuffer
from mmengine.runner import CheckpointLoader

from ..errors import InputError, MissingFileError
from .memory import is_out_of_memory
from .messages import first_line
from .zoo.addresses import file_name
from .zoo.checkpoints import fetch

# Where different programs keep the weights, the first that is there counts; a file without any is all weights.
WEIGHTS = ('state_dict', 'model', 'module')
# Key in the state dict's metadata that travels with the weights to the model: the file that they come from.
SOURCE = 'checkpoint_file'
# How torch's unpickler says that a file names a function or class that it must not have.
_ASKS_FOR_CODE = r'GLOBAL|Unsupported (global|class|use)|call reduce|Can only'
# What torch.load says of a device that is not there: the file is as good as before.
_NO_SUCH_DEVICE = 'deserialize object on'


def load_from_file(filename: str, map_location: Any = 'cpu') -> dict[str, Any]:
    """Read a checkpoint file.

    Args:
        filename: a file that PyTorch wrote: MMSegmentation's (0.x or 1.x), a bare state dict, or one under
            ``'model'`` or ``'module'``.
        map_location: as for ``torch.load``.

    Returns:
        The checkpoint with ``'state_dict'`` (no ``module.`` prefixes) and ``'meta'``, whatever the file had.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no checkpoint, is damaged, or asks for code to be run.
    """
    return as_checkpoint(read(Path(filename).expanduser(), map_location), filename)


def load_from_web(filename: str, map_location: Any = 'cpu') -> dict[str, Any]:
    """Read a checkpoint at an address (http, https), as :func:`load_from_file`; keep it in PyTorch's cache.

    Raises:
        DownloadError: it could not be downloaded; the message says what can be done.
        ValueError: it is no checkpoint, is damaged, or asks for code to be run.
    """
    name = file_name(filename)
    if is_main_process():
        fetch(filename, name)
    barrier()
    # processes of a machine that does not share the first one's files fetch it too
    return as_checkpoint(read(fetch(filename, name), map_location), filename)


def register_loaders() -> None:
    """Have MMEngine read files and addresses with our loaders, through each of its entry points."""
    CheckpointLoader.register_scheme('', load_from_file, force=True)
    CheckpointLoader.register_scheme(['http://', 'https://'], load_from_web, force=True)


def read(path: Path, map_location: Any = 'cpu') -> Any:
    """Return what a file of PyTorch holds.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not PyTorch's, is damaged, or asks for code to be run.
        RuntimeError: PyTorch's own, where memory or the device of ``map_location`` is missing.
    """
    if not path.is_file():
        what = 'is a folder' if path.is_dir() else 'does not exist'
        # where the configs have what training starts from
        advice = (
            '; python -m PACKAGE download CONFIG --pretrained fetches it' if path.parent.name == 'pretrained' else ''
        )
        raise MissingFileError(f'checkpoint {path} {what}; name a file{advice}')
    with path.open('rb') as file:
        start = file.read(512).lstrip().lower()
    if not start:
        raise InputError(f'checkpoint {path} is empty; download it again')
    if start.startswith((b'<!doctype', b'<html', b'<?xml')):
        raise InputError(f'checkpoint {path} is a web page, not a checkpoint; download the file behind the page')
    if start.startswith(b'version https://git-lfs'):
        raise InputError(f'checkpoint {path} is a pointer of Git LFS, not the file itself; run: git lfs pull')
    _refuse_packed(path)
    try:
        with torch.serialization.safe_globals(_harmless()):
            return torch.load(path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError as error:
        if re.search(_ASKS_FOR_CODE, str(error)):
            raise InputError(
                f'checkpoint {path} holds more than tensors and plain values, and reading it would run code; it was '
                f'refused. Save its weights alone, torch.save(model.state_dict(), ...), where you trust it. '
                f'PyTorch says: {first_line(error, _ASKS_FOR_CODE)}'
            ) from error
        raise InputError(
            f'checkpoint {path} is not a file of PyTorch, or is damaged: {first_line(error, _ASKS_FOR_CODE)}'
        ) from error
    except (RuntimeError, EOFError, OSError, KeyError, ValueError, TypeError, AttributeError, IndexError) as error:
        if _NO_SUCH_DEVICE in str(error) or is_out_of_memory(error):
            raise
        raise InputError(
            f'checkpoint {path} ({path.stat().st_size} bytes) is truncated or damaged: {first_line(error)}; '
            f'download it again'
        ) from error


def _refuse_packed(path: Path) -> None:
    """Refuse archives that checkpoints are published in. PyTorch's own files are archives too, of a ``data.pkl``."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        names = archive.namelist()
    if not any(Path(name).name in ('data.pkl', 'constants.pkl') for name in names):
        raise InputError(
            f'checkpoint {path} is an archive that holds {", ".join(names[:3])}; unpack it and name the file in it'
        )


def as_checkpoint(content: Any, source: str) -> dict[str, Any]:
    """Bring what a file holds into MMEngine's form.

    Args:
        content: what :func:`read` returned.
        source: the file's name, for messages; it travels in the state dict's metadata.

    Raises:
        ValueError: there are no weights in it.

    Example:
        >>> checkpoint = as_checkpoint({'model': {'module.weight': torch.zeros(1)}}, 'trained.pth')
        >>> list(checkpoint['state_dict'])
        ['weight']
    """
    if not isinstance(content, dict):
        raise InputError(
            f'checkpoint {source} holds a {type(content).__name__}, not a dict of tensors; '
            f'save model.state_dict() instead'
        )
    wrapper = next((key for key in WEIGHTS if isinstance(content.get(key), dict)), None)
    weights = content if wrapper is None else content[wrapper]
    if not any(isinstance(value, torch.Tensor) for value in weights.values()):
        raise InputError(f'checkpoint {source} holds no weights; its keys are {sorted(map(str, weights))[:10]}')

    metadata = dict(getattr(weights, '_metadata', {}))
    if all(key.startswith('module.') for key in weights):  # saved from a model in (Distributed)DataParallel
        weights = {key.removeprefix('module.'): value for key, value in weights.items()}
        metadata = {key.removeprefix('module').lstrip('.'): value for key, value in metadata.items()}
    metadata[''] = {**metadata.get('', {}), SOURCE: str(source)}
    state_dict = OrderedDict(weights)
    state_dict._metadata = metadata  # type: ignore[attr-defined]

    checkpoint = dict(content) if wrapper == 'state_dict' else {}
    checkpoint.update(state_dict=state_dict, meta=_meta(content.get('meta') if wrapper else None))
    return checkpoint


def _meta(meta: Any) -> dict[str, Any]:
    """Return the meta data with the class names where MMSegmentation 1.x looks for them."""
    meta = dict(meta) if isinstance(meta, dict) else {}
    if 'CLASSES' in meta and 'dataset_meta' not in meta:
        meta['dataset_meta'] = {'classes': meta['CLASSES'], 'palette': meta.get('PALETTE')}
    return meta


def _harmless() -> list[Callable[..., Any] | tuple[Callable[..., Any], str]]:
    """Return what MMEngine's own checkpoints hold beside tensors: NumPy values and logged histories."""
    from numpy._core import multiarray

    number_types: list[type] = [type(np.dtype(kind)) for kind in ('f2', 'f4', 'f8', 'i4', 'i8', 'u1', 'u4', 'u8', 'b1')]
    # NumPy 1 knows these functions under another name
    arrays = [
        (getattr(multiarray, name), f'numpy.{core}.multiarray.{name}')
        for core in ('_core', 'core')
        for name in ('_reconstruct', 'scalar')
    ]
    return [np.ndarray, np.dtype, *number_types, *arrays, HistoryBuffer, (_statistic, 'builtins.getattr')]


def _statistic(owner: Any, name: str) -> Any:
    """Stand for ``getattr`` in a pickle of a ``HistoryBuffer``, which refers to its own methods by it."""
    if owner is not HistoryBuffer or name not in ('min', 'max', 'current', 'mean'):
        raise pickle.UnpicklingError(f'Unsupported use of getattr: {name} of {owner}')
    return getattr(owner, name)
