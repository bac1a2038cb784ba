"""The loops for older processors, on this one: PyTorch's own switch chooses among ours too."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NUMBERS = ['test_half_types.py', 'test_goldens.py', 'test_numbers.py']


@pytest.mark.needs_kernels
@pytest.mark.parametrize(['capability', 'name'], [('default', 'baseline'), ('avx2', 'AVX2|baseline')])
def test_every_instruction_set_gives_the_numbers(capability: str, name: str) -> None:
    environment = os.environ | {'ATEN_CPU_CAPABILITY': capability}
    report = subprocess.run([sys.executable, '-m', 'shared_ops'], env=environment, capture_output=True, text=True)
    assert re.search(rf'^ms_deform_attn +kernel \(({name})\)', report.stdout, flags=re.M), report.stdout + report.stderr
    command = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider', *(str(HERE / file) for file in NUMBERS)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr
    assert re.search(r'\d+ passed', result.stdout)
