"""Other people's errors in one line of ours."""

import re


def first_line(error: BaseException, telling: str = '') -> str:
    r"""Return the first line of an error's message that says something.

    Args:
        error: the error.
        telling: regular expression; a line that it matches is preferred to those before it.

    Returns:
        The line, or the error's type where it has no message.

    Example:
        >>> first_line(RuntimeError('Error(s) in loading:\n  size mismatch for weight'), telling='mismatch')
        'size mismatch for weight'
    """
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    preferred = [line for line in lines if re.search(telling, line)]
    return (preferred or lines or [type(error).__name__])[0]
