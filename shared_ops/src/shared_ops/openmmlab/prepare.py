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
    # These import MMSegmentation, which on its original line needs the stand-in, and on the maintained one prints that
    # a service is not installed, which would stand in the output of every command.
    with contextlib.redirect_stdout(io.StringIO()):
        from . import (  # noqa: F401
            augmented_test,
            checkpoint_hook,
            datasets,
            distributed,
            layer_decay,
            resume,
            segmentors,
            transforms,
        )
    from .checkpoint import register_loaders

    register_loaders()
