"""On what the numbers were measured."""

import datetime
import os
import platform
import subprocess
from pathlib import Path

import torch

import shared_ops


def _cpu_model() -> str:
    try:
        text = Path('/proc/cpuinfo').read_text()
    except OSError:
        return platform.processor()
    models = [line.split(':', 1)[1].strip() for line in text.splitlines() if line.startswith('model name')]
    return models[0] if models else platform.processor()


def _output(*command: str) -> str | None:
    try:
        result = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return result.stdout.strip()


def describe(device: str) -> dict[str, object]:
    """Return the machine and the versions, as they go into the JSON file."""
    revision = _output('git', 'describe', '--always', '--dirty', '--abbrev=12')
    described: dict[str, object] = {
        'device': device,
        'cpu': _cpu_model(),
        'cores': len(os.sched_getaffinity(0)),
        'cpu_capability': torch.backends.cpu.get_cpu_capability(),
        'threads': torch.get_num_threads(),
        'system': platform.platform(),
        'python': platform.python_version(),
        'torch': torch.__version__,
        'shared_ops': shared_ops.__version__,
        'revision': revision,
        'date': datetime.datetime.now(datetime.timezone.utc).isoformat(timespec='seconds'),
    }
    if device == 'cuda':
        described['gpu'] = torch.cuda.get_device_name()
        described['cuda'] = torch.version.cuda
        described['driver'] = _output('nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader')
    return described
