"""Layer-wise learning rates of the published InternImage models.

Original: segmentation/mmcv_custom/custom_layer_decay_optimizer_constructor.py.
"""

from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from shared_ops.openmmlab.layer_decay import LayerIdDecayOptimizerConstructor

# Parts of Mask2Former's head, its classifier among them, that learn as slowly as the backbone's stem.
LIKE_THE_STEM = tuple(
    f'decode_head.{part}.' for part in ('mask_embed', 'cls_embed', 'level_embed', 'query_embed', 'query_feat')
)


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class CustomLayerDecayOptimizerConstructor(LayerIdDecayOptimizerConstructor):  # type: ignore[misc]
    """Multiply the learning rate by ``layer_decay_rate`` for every layer below the last, as the original does.

    Beside the layers that the backbone tells, parts of Mask2Former's head belong to the first layer, and the sampling
    offsets of its deformable attention are not decayed. ``paramwise_cfg`` holds ``num_layers``, the sum of the
    backbone's ``depths``, and ``layer_decay_rate``; the original's ``depths`` is the backbone's own, and its
    ``offset_lr_scale`` concerns no parameter of an InternImage.
    """

    def layer_id(self, model: nn.Module, name: str, last: int) -> int:
        """Return the layer of the parameter ``name`` of ``model``, where ``last`` is the last one."""
        return 0 if name.startswith(LIKE_THE_STEM) else super().layer_id(model, name, last)

    def is_decayed(self, name: str, parameter: nn.Parameter) -> bool:
        """Return whether weight decay applies to a parameter."""
        return super().is_decayed(name, parameter) and 'sampling_offsets' not in name
