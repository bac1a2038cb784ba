"""What all tests have in common: one place that skips, and random numbers that do not leak."""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest
import torch
from hypothesis import settings

# a timing is a benchmark, never a test
settings.register_profile('project', deadline=None)
settings.load_profile('project')


def _kernels_are_loaded() -> bool:
    if importlib.util.find_spec('shared_ops') is None:
        return False
    import shared_ops

    return shared_ops.kernels_available('cpu')


def _cuda_library_is_there() -> bool:
    spec = importlib.util.find_spec('shared_ops')
    return spec is not None and Path(spec.origin).with_name('libshared_ops_cuda.so').exists()


def _onnx_is_here() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ('onnx', 'onnxscript', 'onnxruntime'))


def _serve_is_here() -> bool:
    return all(importlib.util.find_spec(name) is not None for name in ('starlette', 'uvicorn'))


def _browser_is_here() -> bool:
    found = map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome'))
    return any(found) and importlib.util.find_spec('playwright') is not None


# marker: (is it here?, the variable that turns its absence into a failure, what is missing)
REQUIREMENTS = {
    'needs_kernels': (_kernels_are_loaded, 'REQUIRE_KERNELS', 'the compiled kernels of shared_ops'),
    'needs_cuda': (torch.cuda.is_available, 'REQUIRE_CUDA', 'a CUDA device'),
    'needs_cuda_library': (_cuda_library_is_there, 'REQUIRE_CUDA_LIBRARY', 'the CUDA library of shared_ops'),
    'needs_onnx': (_onnx_is_here, 'REQUIRE_ONNX', 'onnx, onnxscript and onnxruntime'),
    'needs_mmdet': (lambda: importlib.util.find_spec('mmdet') is not None, 'REQUIRE_MMDET', 'MMDetection'),
    'needs_tensorboard': (
        lambda: importlib.util.find_spec('tensorboard') is not None,
        'REQUIRE_TENSORBOARD',
        'TensorBoard',
    ),
    'needs_serve': (_serve_is_here, 'REQUIRE_SERVE', 'Starlette and uvicorn'),
    'needs_browser': (_browser_is_here, 'REQUIRE_BROWSER', 'Chromium and playwright'),
    'needs_mim': (lambda: importlib.util.find_spec('mim') is not None, 'REQUIRE_MIM', "OpenMMLab's mim"),
}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if 'mask2former' in item.nodeid:
            item.add_marker('needs_mmdet')


def pytest_runtest_setup(item: pytest.Item) -> None:
    for marker, (is_here, variable, what) in REQUIREMENTS.items():
        if item.get_closest_marker(marker) is None or is_here():
            continue
        if os.environ.get(variable) == '1':
            pytest.fail(f'{variable}=1, but this machine lacks {what}', pytrace=False)
        pytest.skip(f'needs {what}')


@pytest.fixture(autouse=True)
def _keep_random_state():
    """Every test starts from the same seed and leaves the global generator as it was."""
    state = torch.get_rng_state()
    torch.manual_seed(0)
    yield
    torch.set_rng_state(state)
