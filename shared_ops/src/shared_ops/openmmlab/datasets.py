"""Data sets of the originals that MMSegmentation 1.x does not have, under the originals' names."""

from typing import Any

from mmseg.datasets import BaseSegDataset, CityscapesDataset
from mmseg.registry import DATASETS


@DATASETS.register_module()
class MapillaryDataset(BaseSegDataset):  # type: ignore[misc]
    """Mapillary Vistas 1.2 (https://doi.org/10.1109/ICCV.2017.534), to train on Cityscapes' classes.

    Its pipeline has to hold ``MapillaryHack``, which maps the 66 ids of the files to Cityscapes' 19 classes. Those are
    this data set's classes, since a checkpoint names what its model predicts; the original's are the 66, for which
    MMSegmentation has ``MapillaryDataset_v1``. Original: ``MapillaryDataset`` (mapillary.py).

    Args:
        img_suffix: how names of pictures end.
        seg_map_suffix: how names of label maps end.
        kwargs: as for ``BaseSegDataset``.
    """

    METAINFO = CityscapesDataset.METAINFO

    def __init__(self, img_suffix: str = '.jpg', seg_map_suffix: str = '.png', **kwargs: Any) -> None:
        super().__init__(img_suffix=img_suffix, seg_map_suffix=seg_map_suffix, **kwargs)
