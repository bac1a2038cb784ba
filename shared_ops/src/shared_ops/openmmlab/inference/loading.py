"""A model and its config, without the remarks of MMSegmentation that do not concern inference."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmseg.apis import init_model

# It warns of losses, which are not used here, and guesses class names, which `classes_of` knows better.
_UNIMPORTANT = 'dataset_meta or class names|No suitable dataset|Default ``avg_non_ignore``'


def load_model(
    path: Path, checkpoint: str, device: torch.device, cfg_options: dict[str, Any]
) -> tuple[torch.nn.Module, Config]:
    """Build the model of a config and load its weights.

    Args:
        path: the config.
        checkpoint: file with the weights.
        device: where the model goes.
        cfg_options: settings of the config to change, by dotted names.

    Returns:
        The model, ready for inference, and its config.

    Raises:
        ValueError: the checkpoint cannot be read.
        FileNotFoundError: the checkpoint does not exist.
        RuntimeError: the checkpoint does not fit the config.
    """
    config = Config.fromfile(path)
    config.merge_from_dict(cfg_options)
    # MMSegmentation says which file it reads; it resets the filters of warnings, so that these are sorted afterwards
    with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(record=True) as caught:
        model = init_model(config, checkpoint, device=str(device))
    for each in caught:
        if not re.match(_UNIMPORTANT, str(each.message)):
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    return model, config
