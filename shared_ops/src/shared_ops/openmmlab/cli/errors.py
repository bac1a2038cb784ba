"""Which errors are the user's to mend, and are told in one message without a trace."""

from __future__ import annotations

from types import TracebackType

# Their modules check what they are given and compute next to nothing: an error that starts there is about bad input.
_CHECKING = ('shared_ops.openmmlab.', 'shared_ops.vit.pretrained')
# Among them, these compute, and what PyTorch raises there is unexpected.
_COMPUTING = 'shared_ops.openmmlab.mask2former.'


def is_bad_input(error: BaseException) -> bool:
    """Tell whether an error was raised on purpose, by our own code, about what it was given.

    Everything else is unexpected, and keeps its trace.
    """
    if not isinstance(error, (ValueError, RuntimeError, OSError, ImportError)):
        return False
    origin = f'{_origin(error.__traceback__)}.'
    if origin.startswith(_COMPUTING) and isinstance(error, RuntimeError):
        return False
    return origin.startswith(_CHECKING)


def _origin(trace: TracebackType | None) -> str:
    """Return the module in which an error was raised."""
    if trace is None:
        return ''
    while trace.tb_next is not None:
        trace = trace.tb_next
    return str(trace.tb_frame.f_globals.get('__name__', ''))
