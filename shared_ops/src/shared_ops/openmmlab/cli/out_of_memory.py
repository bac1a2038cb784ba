"""What to do about a training that does not fit into memory."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

from mmengine.config import Config

from ..memory import is_out_of_memory


@contextmanager
def advice_when_out_of_memory(config: Config) -> Iterator[None]:
    """Say what uses less memory if a training runs out of it.

    Args:
        config: that of the training.

    Raises:
        MemoryError: in place of PyTorch's error, which stays its cause and keeps its trace.
    """
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise MemoryError(advice(config)) from error


def advice(config: Config) -> str:
    """Return what uses less memory and is not used yet, what costs nothing but time first."""
    wrapper = config.optim_wrapper
    batch = int(config.train_dataloader.get('batch_size') or 1)  # a batch sampler may say it instead
    head = config.model.get('decode_head')  # of a cascade, a list
    ways = []
    if not (config.model.get('backbone') or {}).get('with_cp'):
        ways.append(('recompute activations instead of keeping them', 'model.backbone.with_cp=True'))
    if wrapper.get('type', 'OptimWrapper') == 'OptimWrapper':
        ways.append(('keep activations in half the bytes', 'optim_wrapper.type=Bfloat16OptimWrapper'))
    # the batch norm that UPerNet applies to the mean of whole pictures needs two of them
    fewest = 2 if isinstance(head, dict) and head.get('type') == 'UPerHead' else 1
    if batch > fewest:
        times = math.ceil(batch / fewest)
        counts = times * int(wrapper.get('accumulative_counts', 1))
        ways.append(
            (
                f'fewer pictures at a time, with the gradients of {counts} iterations added up (the training then '
                f'takes {times} times as many: train_cfg.max_iters and the ends in param_scheduler)',
                f'train_dataloader.batch_size={fewest} optim_wrapper.accumulative_counts={counts}',
            )
        )
    lines = [f'  - {what}:\n      --cfg-options {options}' for what, options in ways]
    crop = config.get('crop_size')
    lines.append(
        f'  - a smaller crop than {" x ".join(map(str, crop)) if crop else "this one"}: `new ... --crop PIXELS`'
    )
    lines.append('  - a smaller model: `ls` lists them')
    return (
        'the training does not fit into memory. What uses less, in the order in which to try it (options of several '
        'lines go behind one --cfg-options):\n' + '\n'.join(lines)
    )
