"""The published checkpoints: which there are, and how they come here."""

from .checkpoints import checkpoint_of
from .download import download
from .errors import DownloadError

__all__ = ['DownloadError', 'checkpoint_of', 'download']
