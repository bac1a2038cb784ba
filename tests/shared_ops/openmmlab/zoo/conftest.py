"""A server that has a file, and a folder to put it into."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from support.file_server import FileServer


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[FileServer]:
    """A server with 300 kB of a file that nobody can guess the other half of."""
    for name in ('MMSEG_MIRROR', 'HF_ENDPOINT'):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    content = np.random.RandomState(0).bytes(300_000)
    server = FileServer(content, {'ETag': '"first"', 'Last-Modified': 'Wed, 25 Nov 2026 10:00:00 GMT'})
    yield server
    server.close()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """PyTorch's folder for checkpoints, elsewhere for the test."""
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    return tmp_path / 'hub' / 'checkpoints'
