"""Two processes compute together what one does: with DDP, and with the weights divided between them."""

from pathlib import Path

import vit_comer

from support.several_processes import check_two_processes
from support.strategies import check_strategies
from support.tiny import write_config


def test_two_processes_compute_what_one_does(tmp_path: Path) -> None:
    check_two_processes(
        write_config(tmp_path / 'tiny.py', tmp_path / 'data', package='vit_comer'), tmp_path, 'vit_comer'
    )


def test_strategies_go_with_the_configs(tmp_path: Path) -> None:
    leaf = vit_comer.CONFIG_DIR / 'ade20k' / 'upernet_vit_comer_tiny_512_160k_ade20k.py'
    check_strategies(vit_comer.CONFIG_DIR, leaf, tmp_path)
