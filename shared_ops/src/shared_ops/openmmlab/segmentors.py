"""Segmentors that take a checkpoint whole or not at all."""

import copy
import logging
import re
from typing import Any

import torch
from mmengine.logging import print_log
from mmseg.models import EncoderDecoder
from mmseg.registry import MODELS
from torch import nn

from ..errors import StateError
from .checkpoint import SOURCE
from .checkpoint_hook import HEADS_MAY_DIFFER

# Buffers that a model computes by itself; old checkpoints lack them.
COMPUTED = ('num_batches_tracked', 'relative_position_index')
_LISTED = 30


@MODELS.register_module()
class CheckedEncoderDecoder(EncoderDecoder):  # type: ignore[misc]
    """MMSegmentation's ``EncoderDecoder``, in which a checkpoint file that does not fit is an error.

    MMEngine loads files leniently and only logs what did not fit, so that a wholly foreign file "succeeds". Here
    missing, unexpected and misshapen keys raise, whichever entry point loads the file; in training,
    :class:`~shared_ops.openmmlab.checkpoint_hook.CheckpointFitHook` lets the heads differ. ``load_state_dict`` of a
    state dict that comes from no file is PyTorch's own.

    Args:
        backbone: config of the backbone; it is left as it is, so that a model can be built from it again.
        args: as for ``EncoderDecoder``.
        kwargs: as for ``EncoderDecoder``.
    """

    def __init__(self, backbone: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(copy.deepcopy(backbone), *args, **kwargs)  # EncoderDecoder writes `pretrained` into it
        self._loading: tuple[dict[str, Any], list[str]] = ({}, [])
        self.register_load_state_dict_post_hook(_report_misfits)

    def encode_decode(self, inputs: torch.Tensor, batch_img_metas: list[dict[str, Any]]) -> torch.Tensor:
        """Return the scores of the classes ``[N, K, H, W]``, not softmaxed, at the size of ``inputs``.

        In mixed precision they come out as float32: bfloat16 would make equals of the best classes of many a pixel once
        the scores are resized.

        Args:
            inputs: images or crops of them, padded or not, ``[N, C, H, W]``.
            batch_img_metas: what is known of the images.
        """
        # Heads resize to the size that they find here, which is the image's where inputs are padded or cropped.
        size = {'img_shape': inputs.shape[2:], 'pad_shape': inputs.shape[2:]}
        scores: torch.Tensor = super().encode_decode(inputs, [{**meta, **size} for meta in batch_img_metas])
        return scores.float() if scores.dtype in (torch.bfloat16, torch.float16) else scores

    def _load_from_state_dict(
        self,
        state_dict: dict[str, torch.Tensor],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        # The hook below runs after the children have loaded, but is not given these two.
        self._loading = (local_metadata, error_msgs)
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )


def _report_misfits(model: CheckedEncoderDecoder, incompatible_keys: Any) -> None:
    """Raise, or where heads may differ warn, if keys of a checkpoint file did not fit."""
    metadata, error_msgs = model._loading
    model._loading = ({}, [])
    if SOURCE not in metadata:
        return
    incompatible_keys.missing_keys[:] = [key for key in incompatible_keys.missing_keys if not key.endswith(COMPUTED)]
    misfits = {
        'missing in the file': list(incompatible_keys.missing_keys),
        'unexpected in the model': list(incompatible_keys.unexpected_keys),
        'of another shape': [_key_and_shapes(message) for message in error_msgs],
    }
    fatal = misfits
    if metadata.get(HEADS_MAY_DIFFER):
        fatal = {kind: [key for key in keys if key.startswith('backbone.')] for kind, keys in misfits.items()}
    if any(fatal.values()):
        raise StateError(
            f'checkpoint {metadata[SOURCE]} does not fit this model ({_describe(model)}):\n{_listing(fatal)}\n'
            f'Use the checkpoint that was made with this config, or the config that it was made with.'
        )
    if any(misfits.values()):
        print_log(
            f'checkpoint {metadata[SOURCE]} fits the backbone; these parts of the heads differ and keep their '
            f'initial values:\n{_listing(misfits)}',
            logger='current',
            level=logging.WARNING,
        )
    # said once; MMEngine would log them again
    for keys in (incompatible_keys.missing_keys, incompatible_keys.unexpected_keys, error_msgs):
        keys.clear()


def _key_and_shapes(message: str) -> str:
    """Shorten PyTorch's message about a tensor that could not be copied, key first."""
    match = re.match(
        r'size mismatch for (\S+): .*?torch\.Size\((\[.*?\])\).*?torch\.Size\((\[.*?\])\)', message, flags=re.S
    )
    return '{} (file {}, model {})'.format(*match.groups()) if match else message


def _describe(model: nn.Module) -> str:
    parts = [f'{name} {type(child).__name__}' for name, child in model.named_children() if name != 'data_preprocessor']
    return ', '.join(parts)


def _listing(misfits: dict[str, list[str]]) -> str:
    lines = []
    for kind, keys in misfits.items():
        if keys:
            more = f' and {len(keys) - _LISTED} more' if len(keys) > _LISTED else ''
            lines.append(f'  {len(keys)} {kind}: {", ".join(keys[:_LISTED])}{more}')
    return '\n'.join(lines)
