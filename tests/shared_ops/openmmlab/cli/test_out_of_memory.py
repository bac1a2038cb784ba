"""A training that does not fit into memory says what uses less of it."""

import pytest
import torch
from mmengine.config import Config

from shared_ops.errors import UserError
from shared_ops.openmmlab.cli.out_of_memory import advice, advice_when_out_of_memory

CONFIG = Config(
    dict(
        crop_size=(512, 512),
        model=dict(backbone=dict(type='ViTAdapter'), decode_head=dict(type='UPerHead')),
        optim_wrapper=dict(type='OptimWrapper'),
        train_dataloader=dict(batch_size=4),
    )
)


def test_error_keeps_its_cause_and_its_trace() -> None:
    with (
        pytest.raises(MemoryError, match=r'model\.backbone\.with_cp=True') as raised,
        advice_when_out_of_memory(CONFIG),
    ):
        raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 20 GiB')
    assert isinstance(raised.value.__cause__, torch.OutOfMemoryError)
    assert not isinstance(raised.value, UserError)  # which would be told without the trace


def test_memory_of_the_cpu() -> None:
    with pytest.raises(MemoryError, match='does not fit'), advice_when_out_of_memory(CONFIG):
        torch.empty(2**60, dtype=torch.uint8)


def test_other_errors_pass() -> None:
    with pytest.raises(RuntimeError, match='shapes differ'), advice_when_out_of_memory(CONFIG):
        raise RuntimeError('shapes differ')


def test_what_is_done_already_is_not_advised() -> None:
    saving = Config(CONFIG.to_dict())
    saving.merge_from_dict(
        {
            'model.backbone.with_cp': True,
            'optim_wrapper.type': 'Bfloat16OptimWrapper',
            'train_dataloader.batch_size': 2,
        }
    )
    assert '--cfg-options' not in advice(saving).partition('\n')[2]
    assert advice(CONFIG).count('      --cfg-options') == 3
    assert 'batch_size=2 optim_wrapper.accumulative_counts=2' in advice(CONFIG)


def test_a_config_of_another_kind_gets_advice() -> None:
    """Advice that fails would hide the error that it is about."""
    other = Config(CONFIG.to_dict())
    other.model.decode_head = [dict(type='FCNHead'), dict(type='OCRHead')]
    other.train_dataloader = dict(batch_sampler=dict(type='BatchSampler'))
    assert 'model.backbone.with_cp=True' in advice(other)
