"""The operators against numbers in float64 that follow the CUDA kernels the published checkpoints were trained with."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from support.operators import DTYPES, OPERATORS, TOLERANCES, compute_dtype, forward_and_gradients, output_size
from support.synthetic import sample_positions

REFERENCE = Path(__file__).with_name('reference')
CASES = {case['case']: case for case in json.loads((REFERENCE / 'cases.json').read_text())['cases']}
NAMES = {'msda': 'ms_deform_attn', 'dcnv3': 'dcnv3'}


def softmax(logits: np.ndarray, axes: tuple[int, ...]) -> np.ndarray:
    return np.exp(logits) / np.exp(logits).sum(axes, keepdims=True)


def draw_ms_deform_attn(case: dict[str, Any]) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Draw value, locations, weights and the output's gradient as cases.json says; say the other arguments."""
    random = np.random.RandomState(case['seed'])
    N, M, D, P, Lq = (case[letter] for letter in ('N', 'M', 'D', 'P', 'Lq'))
    shapes = case['spatial_shapes']
    starts = [sum(h * w for h, w in shapes[:level]) for level in range(len(shapes))]
    value = random.standard_normal((N, sum(h * w for h, w in shapes), M, D))
    location_shape = (N, Lq, M, len(shapes), P, 2)
    rule = case['locations']
    if rule['rule'] == 'normal':
        locations = random.standard_normal(location_shape) * rule['scale'] + rule['shift']
    else:
        drawn = random.randint(0, 1 << 30, location_shape)
        locations = np.empty(location_shape)
        for level, (h, w) in enumerate(shapes):
            for axis, n in enumerate((w, h)):
                centres = [(i + 0.5) / n for i in range(n)]
                table = np.array([*centres, 0, 1, -0.5 / n, 1 + 0.5 / n, -2, 3])
                locations[..., level, :, axis] = table[drawn[..., level, :, axis] % len(table)]
    weights = random.standard_normal((N, Lq, M, len(shapes), P))
    if case['weights'] == 'softmax':
        weights = softmax(weights, (3, 4))
    grad_output = random.standard_normal((N, Lq, M * D))
    return [value, locations, weights, grad_output], {'spatial_shapes': shapes, 'level_start_index': starts}


def draw_dcnv3(case: dict[str, Any]) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Draw input, offset, mask and the output's gradient as cases.json says; say the other arguments."""
    random = np.random.RandomState(case['seed'])
    N, H, W, C, G = (case[letter] for letter in ('N', 'H', 'W', 'C', 'group'))
    geometry = dict(zip(('kernel_size', 'stride', 'padding', 'dilation'), map(case.get, KEYS)))
    Ho, Wo = output_size((H, W), *geometry.values())
    K = case['kernel'][0] * case['kernel'][1]
    image = random.standard_normal((N, H, W, C))
    rule = case['offset']
    offset = random.standard_normal((N, Ho, Wo, G, K, 2)) * rule['scale'] + rule['shift']
    if 'round' in rule:
        offset = np.floor(offset * rule['round'] + 0.5) / rule['round']
    mask = random.standard_normal((N, Ho, Wo, G, K))
    if case['mask'] == 'softmax':
        mask = softmax(mask, (4,))
    grad_output = random.standard_normal((N, Ho, Wo, C))
    tensors = [image, offset.reshape(N, Ho, Wo, -1), mask.reshape(N, Ho, Wo, -1), grad_output]
    return tensors, geometry | {'groups': G, 'offset_scale': case['offset_scale']}


KEYS = ('kernel', 'stride', 'pad', 'dilation')
DRAW = {'msda': draw_ms_deform_attn, 'dcnv3': draw_dcnv3}


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('implementation', ['operator', 'reference'])
@pytest.mark.parametrize('name', CASES)
def test_output_and_gradients(name: str, implementation: str, dtype: torch.dtype, device: str) -> None:
    case = CASES[name]
    operator = OPERATORS[NAMES[case['op']]]
    arrays, others = DRAW[case['op']](case)
    types = [dtype, compute_dtype(dtype), compute_dtype(dtype), dtype]
    *leaves, grad_output = (torch.from_numpy(array).to(device, kind) for array, kind in zip(arrays, types))
    arguments = operator.replaced(SimpleNamespace(**others), leaves)
    function = operator.implementations[implementation]
    results = forward_and_gradients(operator, arguments, function, grad_output)
    with np.load(REFERENCE / f'{name}.npz') as stored:
        for key, result in zip(('output', *(f'grad_{tensor}' for tensor in operator.tensors)), results):
            about = case['outputs'][key]
            assert list(result.shape) == about['shape']
            flat = result.double().cpu().numpy().ravel()
            if about['stored'] != 'full':
                flat = flat[sample_positions(f'{name}.{key}', flat.size, 1024)]
            difference = np.abs(flat - stored[key].ravel()).max() / about['absmax']
            assert difference <= TOLERANCES[dtype], key
