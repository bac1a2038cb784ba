"""NYU Depth v2, which MMSegmentation 1.x has for depth only, under the original's name."""

from typing import Any, ClassVar

from mmseg.datasets import ADE20KDataset, BaseSegDataset
from mmseg.registry import DATASETS


@DATASETS.register_module()
class NYUDepthV2Dataset(BaseSegDataset):  # type: ignore[misc]
    """NYU Depth v2 (https://doi.org/10.1007/978-3-642-33715-4_54) with 40 classes of indoor scenes.

    Label 0 means "no class". Original: segmentation/mmseg_custom/datasets/nyu_depth_v2.py, with its spellings, which
    published checkpoints carry.

    Args:
        ann_file: file with the names of the pictures, one a line; 795 in ``train.txt``, 654 in ``test.txt``.
        img_suffix: how names of pictures end.
        seg_map_suffix: how names of label maps end.
        reduce_zero_label: take label 0 for "no class" and count from 1.
        kwargs: as for ``BaseSegDataset``.
    """

    METAINFO: ClassVar[dict[str, Any]] = dict(
        classes=(
            'wall', 'floor', 'cabinet', 'bed', 'chair', 'sofa', 'table', 'door', 'window', 'bookshelf', 'picture',
            'counter', 'blinds', 'desk', 'shelves', 'curtain', 'dresser', 'pillow', 'mirror', 'floor mat', 'clothes',
            'ceiling', 'books', 'refridgerator', 'television', 'paper', 'towel', 'shower curtain', 'box', 'whiteboard',
            'person', 'night stand', 'toilet', 'sink', 'lamp', 'bathtub', 'bag', 'otherstructure', 'otherfurniture',
            'otherprop',
        ),
        palette=ADE20KDataset.METAINFO['palette'][:40],
    )  # fmt: skip

    def __init__(
        self,
        ann_file: str,
        img_suffix: str = '.png',
        seg_map_suffix: str = '.png',
        reduce_zero_label: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            ann_file=ann_file,
            img_suffix=img_suffix,
            seg_map_suffix=seg_map_suffix,
            reduce_zero_label=reduce_zero_label,
            **kwargs,
        )
