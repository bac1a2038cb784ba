"""Configs found by name, in a folder of configs that a package could have."""

from pathlib import Path

import pytest

from shared_ops.openmmlab.zoo.configs import Configs


@pytest.fixture
def configs(tmp_path: Path) -> Configs:
    for name in ['ade20k/small_net', 'ade20k/large_net', 'cityscapes/large_net', '_base_/common', 'ade20k/_part']:
        path = tmp_path / f'{name}.py'
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return Configs('some_package', tmp_path)


def test_names_leave_out_bases(configs: Configs) -> None:
    assert configs.names() == ['ade20k/large_net', 'ade20k/small_net', 'cityscapes/large_net']


@pytest.mark.parametrize('name', ['small_net', 'small_net.py', 'ade20k/small_net', 'ade20k/small_net.py'])
def test_found_by_name(configs: Configs, name: str) -> None:
    assert configs.find(name) == configs.folder / 'ade20k' / 'small_net.py'


def test_the_data_set_decides_between_configs_of_one_name(configs: Configs) -> None:
    assert configs.find('cityscapes/large_net') == configs.folder / 'cityscapes' / 'large_net.py'
    with pytest.raises(ValueError, match='say ade20k/large_net or cityscapes/large_net'):
        configs.find('large_net')


def test_a_file_of_ones_own(configs: Configs, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path('mine.py').touch()
    assert configs.find('mine.py') == tmp_path / 'mine.py'
    assert configs.find(str(tmp_path / 'mine.py')) == tmp_path / 'mine.py'


@pytest.mark.parametrize('name', ['smal_net', 'ade20k/smal_net.py', 'elsewhere/smal_net.py'])
def test_unknown_name(configs: Configs, name: str) -> None:
    with pytest.raises(ValueError, match=r'neither .* nor a file.* Did you mean small_net') as refused:
        configs.find(name)
    assert '`python -m some_package ls` lists all' in str(refused.value)


def test_a_name_like_no_other_gets_no_suggestion(configs: Configs) -> None:
    with pytest.raises(ValueError, match=r'nor a file\. `python'):
        configs.find('xyz')
    with pytest.raises(ValueError, match=r'nor a file\. `python'):
        configs.find('')
