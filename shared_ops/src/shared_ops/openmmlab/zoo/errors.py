"""How a download fails."""


class DownloadError(RuntimeError):
    """A file could not be had; the message says which, why, and what can be done."""
