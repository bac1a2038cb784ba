"""A model that turns pictures into label maps."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmseg.registry import MODELS
from numpy.typing import NDArray

from ...errors import InputError
from .classes import classes_of
from .device import check_precision, choose_device
from .loading import load_model
from .preparation import Prepared, collate, group_by_size, preparation_of


@dataclass(frozen=True)
class Segmentation:
    """What a model sees on a picture.

    Attributes:
        labels: index of the class of every pixel, ``[H, W]``: uint8, or uint16 where there are more than 255 classes.
        logits: the scores that the labels are the largest of, float32 ``[classes, H, W]``, where they were asked for.
            With UPerNet's and SegFormer's heads they are logits, whose softmax are probabilities; Mask2Former's are
            sums of its queries' probabilities; after test-time augmentation they are logarithms of probabilities.
    """

    labels: NDArray[Any]
    logits: NDArray[np.float32] | None


class Segmenter:
    """A model, and how its config prepares a picture.

    Args:
        model: a segmentor from ``mmseg.apis.init_model``.
        config: the config that it was built from.
        amp: type of mixed precision, ``torch.bfloat16``, or None for float32.
        tta: whether the scores of several views of a picture, those of the config's ``tta_pipeline``, are averaged.

    Attributes:
        classes: what the labels mean.
        device: where the model runs.

    Raises:
        ValueError: the config lacks a pipeline, or ``tta_model``; or the device cannot compute in that type.
    """

    def __init__(
        self, model: torch.nn.Module, config: Config, *, amp: torch.dtype | None = None, tta: bool = False
    ) -> None:
        self.device = next(model.parameters()).device
        check_precision(amp, self.device)
        self.classes = classes_of(model, config)
        self._amp = amp
        self._prepare = preparation_of(config, 'tta_pipeline' if tta else 'test_pipeline')
        self._model: Any = _averaging(model, config) if tta else model

    @classmethod
    def load(
        cls,
        config: Path,
        checkpoint: str,
        *,
        device: str | None = None,
        amp: torch.dtype | None = None,
        tta: bool = False,
        cfg_options: dict[str, Any] | None = None,
    ) -> Segmenter:
        """Build the model of a config and load its weights.

        Args:
            config: a config of MMSegmentation.
            checkpoint: file with the weights.
            device: for PyTorch (default: ``'cuda'`` where there is one, else ``'cpu'``).
            amp: type of mixed precision, ``torch.bfloat16``, or None for float32.
            tta: whether several views of every picture are averaged.
            cfg_options: settings of the config to change, by dotted names.

        Raises:
            ValueError: an argument cannot be used, or the checkpoint cannot be read.
            FileNotFoundError: the checkpoint does not exist.
            RuntimeError: the checkpoint does not fit the config.
        """
        chosen = choose_device(device)
        check_precision(amp, chosen)
        model, content = load_model(config, checkpoint, chosen, cfg_options or {})
        return cls(model, content, amp=amp, tta=tta)

    def __call__(self, pictures: Sequence[NDArray[np.uint8]], logits: bool = False) -> list[Segmentation]:
        """Segment pictures. Those of the same size go through the model together; none is padded for it.

        Args:
            pictures: each uint8 ``[H, W, 3]``, BGR, of any sizes.
            logits: whether the scores are wanted as well.

        Returns:
            The label map, and the scores, of every picture, at its size, in the order of the pictures.

        Raises:
            ValueError: a picture has another shape or type.
        """
        for index, picture in enumerate(pictures):
            if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3 or not picture.size:
                raise InputError(
                    f'pictures[{index}] is {picture.dtype} {list(picture.shape)}; it has to be uint8 [height, width, 3]'
                )
        prepared = [self._prepare(picture) for picture in pictures]
        found: dict[int, Segmentation] = {}
        for group in group_by_size(prepared):
            found.update(zip(group, self._segment([prepared[index] for index in group], logits)))
        return [found[index] for index in range(len(pictures))]

    def _segment(self, prepared: Sequence[Prepared], logits: bool) -> list[Segmentation]:
        precision = torch.autocast(self.device.type, self._amp) if self._amp else contextlib.nullcontext()
        with torch.no_grad(), precision:
            samples = self._model.test_step(collate(prepared))
        number = len(self.classes.names)
        return [
            Segmentation(
                sample.pred_sem_seg.data.squeeze(0).cpu().numpy().astype(np.uint8 if number <= 255 else np.uint16),
                sample.seg_logits.data.float().cpu().numpy() if logits else None,
            )
            for sample in samples
        ]


def _averaging(model: Any, config: Config) -> Any:
    """Return a model that averages several views, as ``test --tta`` does."""
    if 'tta_model' not in config:
        raise InputError(
            f"config {config.filename} has no tta_model, which averages views; add tta_model=dict(type='SegTTAModel')"
        )
    settings = dict(config.tta_model)
    if settings['type'] == 'SegTTAModel' and model.out_channels > 1:
        settings['type'] = 'RunningMeanTTAModel'  # the same label maps, and the averaged scores beside them
    return MODELS.build({**settings, 'module': model})
