"""Layer-wise learning rates of the published InternImage models.

Original: segmentation/mmcv_custom/custom_layer_decay_optimizer_constructor.py.
"""

from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS
from torch import nn

from shared_ops.openmmlab.layer_decay import LayerIdDecayOptimizerConstructor


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class CustomLayerDecayOptimizerConstructor(LayerIdDecayOptimizerConstructor):  # type: ignore[misc]
    """Multiply the learning rate by ``layer_decay_rate`` for every layer below the last, as the original does.

    Unlike ViT-Adapter's, it does not decay the sampling offsets of Mask2Former's deformable attention. Its
    ``paramwise_cfg`` holds ``num_layers``, the sum of the backbone's ``depths``, and ``layer_decay_rate``; the
    original's ``depths`` is the backbone's own, and its ``offset_lr_scale`` concerns no parameter of an InternImage.
    """

    def is_decayed(self, name: str, parameter: nn.Parameter) -> bool:
        """Return whether weight decay applies to a parameter."""
        return super().is_decayed(name, parameter) and 'sampling_offsets' not in name
