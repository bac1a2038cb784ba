"""Options and configs of MMSegmentation 0.x are refused with the name of what replaces them."""

import runpy
from pathlib import Path

import pytest
from mmengine.config import Config

from shared_ops.openmmlab.cli.old_style import OPTIONS, SETTINGS, refuse_old_config, refuse_old_options
from shared_ops.openmmlab.cli.tools import _tools_folder


@pytest.mark.parametrize(('command', 'option'), [(each, option) for each in OPTIONS for option in OPTIONS[each]])
def test_every_old_option_is_refused(command: str, option: str) -> None:
    for arguments in ([option], ['model.pth', f'{option}=value']):
        with pytest.raises(ValueError, match=f'has no {option}, .*: instead of {option} use '):
            refuse_old_options(command, arguments)


@pytest.mark.parametrize('command', OPTIONS)
def test_the_tools_do_not_have_them(command: str, monkeypatch, capsys) -> None:
    monkeypatch.setattr('sys.argv', [command, '--help'])
    with pytest.raises(SystemExit):
        runpy.run_path(str(_tools_folder() / f'{command}.py'), run_name='__main__')
    words = capsys.readouterr().out.replace(',', ' ').replace('[', ' ').replace(']', ' ').split()
    assert '--cfg-options' in words and not set(OPTIONS[command]) & set(words)


def test_todays_options_pass() -> None:
    refuse_old_options('test', ['model.pth', '--tta', '--cfg-options', 'test_evaluator.iou_metrics=mDice', '--show'])


def test_a_config_of_mmseg_0_is_refused() -> None:
    old = Config({name: {} for name in SETTINGS} | {'model': {}})
    with pytest.raises(ValueError, match=r'config old\.py is one of MMSegmentation 0\.x: data became ') as refused:
        refuse_old_config(old, Path('old.py'))
    assert all(f'{name} became {now}' in str(refused.value) for name, now in SETTINGS.items())


def test_a_config_of_today_passes() -> None:
    refuse_old_config(Config({'optim_wrapper': {}, 'data': 'a variable of its own'}), Path('new.py'))
    refuse_old_config(Config({'model': {}}), Path('bare.py'))
