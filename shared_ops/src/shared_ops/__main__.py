"""``python -m shared_ops``: what was built, what was loaded, and what will run."""

import ctypes
import platform

import torch

from ._library import SCHEMAS, failures, kernels_available, library_path, why_not_served
from ._version import __version__

DEVICES = ('cpu', 'cuda')


def _ask(device_type: str, function: str) -> str:
    """Call a function without arguments of a loaded library that returns a text."""
    ask = ctypes.CDLL(str(library_path(device_type)))[function]
    ask.restype = ctypes.c_char_p
    text: bytes = ask()
    return text.decode()


def _what_runs(operator: str, device_type: str) -> str:
    # the dispatcher knows better than anything that was noted down while loading
    key = {'cpu': 'CPU', 'cuda': 'CUDA'}[device_type]
    if device_type == 'cuda' and torch.cuda.is_available() and why_not_served(torch.cuda.current_device()) is not None:
        return 'plain PyTorch'
    if not torch._C._dispatch_has_kernel_for_dispatch_key(f'shared_ops::{operator}', key):
        return 'plain PyTorch'
    return f'kernel ({_ask("cpu", "shared_ops_instruction_set")})' if device_type == 'cpu' else 'kernel'


def _table(rows: list[list[str]]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ['  '.join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows]


def report() -> str:
    """Return the table that ``python -m shared_ops`` prints."""
    cuda = f'CUDA {torch.version.cuda}' if torch.version.cuda else 'without CUDA'
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else 'no CUDA device'
    lines = [
        f'shared_ops {__version__}',
        f'PyTorch {torch.__version__} ({cuda}; {device})',
        f'Python {platform.python_version()} ({platform.platform()})',
        '',
    ]
    libraries = [['library', 'loaded', 'made with, or why it is missing']]
    for device_type in DEVICES:
        name = library_path(device_type).name
        if kernels_available(device_type):
            libraries.append([name, 'yes', _ask(device_type, 'shared_ops_build_info')])
        else:
            libraries.append([name, 'no', f'{failures[device_type]}'])
    operators = [['operator', *(f'on {device_type}' for device_type in DEVICES)]]
    for operator in SCHEMAS:
        if not operator.startswith('_'):
            operators.append([operator, *(_what_runs(operator, device_type) for device_type in DEVICES)])
    return '\n'.join([*lines, *_table(libraries), '', *_table(operators)])


if __name__ == '__main__':
    print(report())
