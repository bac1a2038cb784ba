"""Two processes compute together what one does: with DDP, and with the weights divided between them."""

from pathlib import Path

import vit_adapter

from support.several_processes import check_two_processes
from support.strategies import check_strategies
from support.tiny import write_config
from support.tiny_mask2former import write_mask2former_config


def test_two_processes_compute_what_one_does(tmp_path: Path) -> None:
    check_two_processes(write_config(tmp_path / 'tiny.py', tmp_path / 'data'), tmp_path, 'vit_adapter')


def test_mask2former_over_beit(tmp_path: Path) -> None:
    """Tables of relative positions, a class token, MMDetection's transformer layers."""
    base = vit_adapter.CONFIG_DIR / 'ade20k' / 'mask2former_beit_adapter_large_640_160k_ade20k_ss.py'
    check_two_processes(write_mask2former_config(tmp_path / 'small.py', base), tmp_path, 'vit_adapter')


def test_strategies_go_with_the_configs(tmp_path: Path) -> None:
    leaf = vit_adapter.CONFIG_DIR / 'ade20k' / 'upernet_deit_adapter_tiny_512_160k_ade20k.py'
    check_strategies(vit_adapter.CONFIG_DIR, leaf, tmp_path)
