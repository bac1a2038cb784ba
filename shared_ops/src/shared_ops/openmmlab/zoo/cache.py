"""Where downloaded files are kept."""

from __future__ import annotations

from pathlib import Path

import torch


def cache_folder() -> Path:
    """Return PyTorch's folder for checkpoints, which MMEngine and timm's older versions use as well.

    It is ``hub/checkpoints`` in ``TORCH_HOME``, which is ``~/.cache/torch`` where that variable is not set.
    """
    return Path(torch.hub.get_dir(), 'checkpoints')
