"""Transforms of the originals that MMSegmentation 1.x does not have, under the originals' names."""

from typing import Any

import mmcv
import numpy as np
from mmcv.transforms import BaseTransform, Resize
from mmseg.registry import TRANSFORMS

from ..errors import InputError

# Cityscapes' classes in order, and which of the 66 ids of Mapillary Vistas 1.2 become each of them.
MAPILLARY_IDS = {
    'road': (13, 24, 41),
    'sidewalk': (2, 15),
    'building': (17,),
    'wall': (6,),
    'fence': (3,),
    'pole': (45, 47),
    'traffic light': (48,),
    'traffic sign': (50,),
    'vegetation': (30,),
    'terrain': (29,),
    'sky': (27,),
    'person': (19,),
    'rider': (20, 21, 22),
    'car': (55,),
    'truck': (61,),
    'bus': (54,),
    'train': (58,),
    'motorcycle': (57,),
    'bicycle': (52,),
}


@TRANSFORMS.register_module(name='SETR_Resize')
class SETRResize(Resize):  # type: ignore[misc]
    """Resize so that the shorter side has the length of ``scale``'s shorter one, and no less than the crop's.

    The longer side follows, however long it gets. Slide inference then never meets a picture that is smaller than its
    window. Keys are those of MMCV's ``Resize``. Original: ``SETR_Resize`` (transform.py) with ``setr_multi_scale``.

    Args:
        scale: (width, height) in pixels, in either order.
        crop_size: (height, width) of the window in pixels; its first entry counts.
        keep_ratio: always true, as in the configs of the originals.
        setr_multi_scale: always true, as in the configs of the originals.

    Raises:
        ValueError: ``keep_ratio`` or ``setr_multi_scale`` is false.
    """

    def __init__(
        self,
        scale: tuple[int, int],
        crop_size: tuple[int, int],
        keep_ratio: bool = True,
        setr_multi_scale: bool = True,
    ) -> None:
        if not (keep_ratio and setr_multi_scale):
            raise InputError(
                f'keep_ratio and setr_multi_scale are {keep_ratio} and {setr_multi_scale}, but this transform keeps '
                f'the ratio and the size of the crop; use Resize'
            )
        super().__init__(scale=scale, keep_ratio=True)
        self.crop_size = crop_size

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Resize the picture and the annotations that are there already."""
        height, width = results['img'].shape[:2]
        short = max(min(self.scale), self.crop_size[0])
        # the longer side is no integer yet: MMCV rounds both sides of the result alike
        results['scale'] = (short * height / width, short) if height > width else (short, short * width / height)
        self._resize_img(results)
        self._resize_seg(results)
        results['pad_shape'] = results['img_shape']
        return results


@TRANSFORMS.register_module()
class PadShortSide(BaseTransform):  # type: ignore[misc]
    """Fill sides that are shorter than ``size`` up to it, at the right and at the bottom.

    Modified keys: ``img``, ``pad_shape``, annotations; ``img_shape`` stays. Added: ``padding_size`` (left, right, top,
    bottom), by which MMSegmentation cuts the scores; ``PackSegInputs`` passes it on if ``meta_keys`` names it.
    MMSegmentation normalises after the pipeline, so what is filled in here is a colour. Original: ``PadShortSide``
    (transform.py).

    Args:
        size: least height and width in pixels.
        pad_val: value of the pixels, in all three channels.
        seg_pad_val: label of the pixels.
    """

    def __init__(self, size: int, pad_val: float = 0, seg_pad_val: int = 255) -> None:
        self.size = size
        self.pad_val = pad_val
        self.seg_pad_val = seg_pad_val

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Fill up the picture and the annotations that are there already."""
        height, width = results['img'].shape[:2]
        shape = (max(height, self.size), max(width, self.size))
        pad_val = (self.pad_val,) * results['img'].shape[2]  # a number would fill the first channel alone
        results['img'] = mmcv.impad(results['img'], shape=shape, pad_val=pad_val)
        for key in results.get('seg_fields', []):
            results[key] = mmcv.impad(results[key], shape=shape, pad_val=self.seg_pad_val)
        results['pad_shape'] = shape
        results['padding_size'] = (0, shape[1] - width, 0, shape[0] - height)
        return results


@TRANSFORMS.register_module()
class MapillaryHack(BaseTransform):  # type: ignore[misc]
    """Turn the 66 ids of Mapillary Vistas 1.2 into Cityscapes' 19 classes; the other ids become 255, to be ignored.

    Ids above 65, which Mapillary Vistas does not have, become 0 (road) as in the original, 255 among them: the
    transform has to come before any that fills up with 255. Modified key: ``gt_seg_map``. Original:
    ``MapillaryHack`` (transform.py).
    """

    def __init__(self) -> None:
        self.table = np.zeros(256, np.uint8)
        self.table[:66] = 255
        for label, ids in enumerate(MAPILLARY_IDS.values()):
            self.table[list(ids)] = label

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Map ``gt_seg_map``, uint8 ``[H, W]``."""
        results['gt_seg_map'] = self.table[results['gt_seg_map']]
        return results
