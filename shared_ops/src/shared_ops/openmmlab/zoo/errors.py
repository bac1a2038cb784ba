"""How a download fails."""

from ...errors import UserError


class DownloadError(UserError, RuntimeError):
    """A file could not be had; the message says which, why, and what can be done."""
