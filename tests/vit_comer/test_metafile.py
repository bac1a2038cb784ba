"""The metafile says of every config what the config says."""

import vit_comer  # noqa: F401

from support.metafiles import check_metafile


def test_metafile() -> None:
    check_metafile('vit_comer')
