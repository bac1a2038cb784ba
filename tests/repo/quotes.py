"""The messages of ours that pages quote are those that come out.

A quotation is a ``text`` block after ``<!-- provoked: NAME -->``, and a function of that name in ``provocations.py``
provokes the message. ``...`` in a quotation stands for anything.
"""

from __future__ import annotations

import doctest
import inspect
import os
import re
from pathlib import Path

_QUOTE = re.compile(r'<!-- provoked: (\w+) -->\n```text\n(.*?)\n```', flags=re.S)


def quotes_of(text: str) -> dict[str, str]:
    """Return the quoted messages of a page by the names of their provocations."""
    assert len(_QUOTE.findall(text)) == text.count('<!-- provoked:'), 'a mark is not followed by a ```text block'
    return dict(_QUOTE.findall(text))


def check_quotes(pages: list[Path], folder: Path) -> int:
    """Provoke the messages in a folder with a checkpoint and a photograph, compare them, and return how many there are.

    Raises:
        SystemExit: a message reads otherwise, or one is quoted or provoked in vain.
    """
    import provocations

    quotes = {name: (page, quote) for page in pages for name, quote in quotes_of(page.read_text('utf-8')).items()}
    functions = {
        name: function
        for name, function in vars(provocations).items()
        if inspect.isfunction(function)
        and function.__module__ == provocations.__name__
        and not inspect.signature(function).parameters
    }
    if set(quotes) != set(functions):
        raise SystemExit(f'quoted or provoked in vain: {sorted(set(quotes) ^ set(functions))}')
    before = Path.cwd()
    os.chdir(folder)
    messages = {name: functions[name]() for name in quotes}
    os.chdir(before)
    wrong = [
        f'{page.name} quotes {name} as\n{quote}\nbut it reads\n{messages[name]}'
        for name, (page, quote) in quotes.items()
        if not doctest.OutputChecker().check_output(f'{quote}\n', f'{messages[name]}\n', doctest.ELLIPSIS)
    ]
    if wrong:
        raise SystemExit('\n\n'.join(wrong))
    return len(quotes)
