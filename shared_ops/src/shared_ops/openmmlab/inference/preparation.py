"""From a picture to what a model takes: the pipelines of a config, for pictures that are in memory."""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.dataset import Compose
from numpy.typing import NDArray

from ...errors import InputError

# What a pipeline makes of a picture: 'inputs' and 'data_samples', for several views each a list.
Prepared = dict[str, Any]


def preparation_of(config: Config, pipeline: str) -> Callable[[NDArray[np.uint8]], Prepared]:
    """Return the function that prepares a picture, uint8 ``[H, W, 3]`` (BGR), as a pipeline of a config says.

    Args:
        config: a config of MMSegmentation.
        pipeline: ``'test_pipeline'``, or ``'tta_pipeline'`` for several views of a picture.

    Raises:
        ValueError: the config has no such pipeline, or it reads no picture from a file.
    """
    if pipeline not in config:
        raise InputError(f'config {config.filename} has no {pipeline}, which says how a picture is prepared; add it')
    steps = copy.deepcopy(list(config[pipeline]))
    readers = [step for step in steps if step.get('type') == 'LoadImageFromFile']
    if not readers:
        raise InputError(
            f'{pipeline} of config {config.filename} has no LoadImageFromFile, in whose place a picture could be put'
        )
    readers[0]['type'] = 'LoadImageFromNDArray'
    compose = Compose(_without_annotations(steps))
    return lambda picture: compose({'img': picture})


def group_by_size(prepared: Sequence[Prepared]) -> list[list[int]]:
    """Return the indices of pictures that can go through a model together: those of the same sizes all along.

    Padding the others to a common size would change what a model sees of them.
    """
    groups: dict[Any, list[int]] = defaultdict(list)
    for index, each in enumerate(prepared):
        groups[tuple(_sizes(view) for view in _views(each))].append(index)
    return list(groups.values())


def collate(prepared: Sequence[Prepared]) -> Prepared:
    """Put pictures together as ``test_step`` takes them: a batch, or for several views a list with one for each."""
    batches = [
        {key: [view[key] for view in pictures] for key in prepared[0]} for pictures in zip(*map(_views, prepared))
    ]
    if not _has_views(prepared[0]):
        return batches[0]
    return {key: [batch[key] for batch in batches] for key in prepared[0]}


def _views(prepared: Prepared) -> list[Prepared]:
    if not _has_views(prepared):
        return [prepared]
    return [dict(zip(prepared, values, strict=True)) for values in zip(*prepared.values(), strict=True)]


def _has_views(prepared: Prepared) -> bool:
    return isinstance(prepared['inputs'], list)


def _sizes(view: Prepared) -> tuple[Any, ...]:
    meta = view['data_samples'].metainfo
    return (tuple(view['inputs'].shape), *(tuple(meta.get(key) or ()) for key in ('ori_shape', 'img_shape')))


def _without_annotations(steps: list[Any]) -> list[Any]:
    """Leave out what reads label maps, which a picture does not have, also within ``TestTimeAug``."""
    kept: list[Any] = []
    for step in steps:
        if isinstance(step, dict):
            if step.get('type') == 'LoadAnnotations':
                continue
            if 'transforms' in step:
                step['transforms'] = _without_annotations(step['transforms'])
            kept.append(step)
        else:  # the alternatives of one step, of which none would leave no view at all
            alternatives = _without_annotations(list(step))
            if alternatives:
                kept.append(alternatives)
    return kept
