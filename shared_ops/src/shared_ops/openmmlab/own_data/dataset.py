"""Pictures and label maps of one's own, some of whose values may be no class."""

from collections.abc import Sequence
from typing import Any

from mmseg.datasets import BaseSegDataset
from mmseg.registry import DATASETS

from ...errors import InputError

IGNORED = 255


@DATASETS.register_module()
class OwnDataset(BaseSegDataset):  # type: ignore[misc]
    """MMSegmentation's ``BaseSegDataset``, which ignores values of label maps in losses and scores.

    Whatever pipeline reads the label maps, that of training, of tests or of ``--tta``, sees 255 in their place.

    Args:
        ignored: the values, as they stand in the files.
        kwargs: as for ``BaseSegDataset``.

    Raises:
        ValueError: a value is not one of uint8.
    """

    def __init__(self, ignored: Sequence[int] = (), **kwargs: Any) -> None:
        wrong = [value for value in ignored if not 0 <= value <= IGNORED]
        if wrong:
            raise InputError(f'ignored holds {wrong}, but label maps hold values from 0 to {IGNORED}')
        self.ignored = list(ignored)
        super().__init__(**kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Return what is known of each picture, with the values that ``LoadAnnotations`` replaces."""
        # it looks for them after it has reduced the label 0
        replaced = {value - self.reduce_zero_label: IGNORED for value in self.ignored}
        samples: list[dict[str, Any]] = super().load_data_list()
        return [{**sample, 'label_map': replaced} for sample in samples] if replaced else samples
