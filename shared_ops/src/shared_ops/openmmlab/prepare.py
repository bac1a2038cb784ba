"""One call that makes OpenMMLab's packages importable and our parts known to them."""

import contextlib
import io

from .compiled_ops import install_stand_in
from .installation import check_installation


def prepare() -> None:
    """Get OpenMMLab ready for our configs; further calls change nothing.

    It checks what is installed, offers a stand-in for ``mmcv._ext`` where there is none, has checkpoints read without
    executing pickles, and registers what the configs name: segmentor, hooks, optimizer constructor, data sets,
    transforms, test loop.

    Raises:
        ImportError: a package of OpenMMLab is missing, or two lines of it are installed over each other.
    """
    check_installation()
    install_stand_in()
    # these import MMSegmentation, which on its original line needs the stand-in
    from . import (  # noqa: F401
        augmented_test,
        bfloat16,
        checkpoint_hook,
        distributed,
        layer_decay,
        resume,
        safe_checkpoint_hook,
        segmentors,
        sharding,
        transforms,
    )
    from .checkpoint import register_loaders
    from .curves import hook  # noqa: F401

    with contextlib.redirect_stdout(io.StringIO()):  # MMSegmentation's data sets print debugging lines
        from . import datasets  # noqa: F401
        from .own_data import dataset  # noqa: F401

    register_loaders()
