"""The metafile says of every config what the config says."""

import internimage  # noqa: F401

from support.metafiles import check_metafile


def test_metafile() -> None:
    check_metafile('internimage')
