"""Two processes compute together what one does: with DDP, and with the weights divided between them."""

from pathlib import Path

import vit_comer  # noqa: F401 (first: it prepares OpenMMLab's packages)

from support.several_processes import check_two_processes
from support.tiny import write_config


def test_two_processes_compute_what_one_does(tmp_path: Path) -> None:
    check_two_processes(
        write_config(tmp_path / 'tiny.py', tmp_path / 'data', package='vit_comer'), tmp_path, 'vit_comer'
    )
