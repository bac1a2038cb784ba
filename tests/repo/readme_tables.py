"""The table of configs in the README, made from the configs themselves."""

from __future__ import annotations

import re
from pathlib import Path

BEGIN, END = '<!-- configs: begin (nox -s readme -- --write) -->', '<!-- configs: end -->'


def config_table() -> str:
    """Return one row a config: name, trunk, parameters of the built model, crop, pretrained file."""
    import vit_adapter

    import torch
    from mmengine import Config
    from mmseg.registry import MODELS
    from mmseg.utils import register_all_modules

    register_all_modules()
    rows = ['| config | data set | parameters | crop | starts from |', '|---|---|---|---|---|']
    for path in sorted(vit_adapter.CONFIG_DIR.glob('[!_]*/*.py')):
        config = Config.fromfile(path)
        pretrained = config.model.get('pretrained') or config.model.backbone.get('pretrained')
        with torch.device('meta'):
            model = MODELS.build(config.model)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        crop = 'x'.join(map(str, config.crop_size))
        cells = [
            f'`{path.stem}`',
            path.parent.name,
            f'{parameters / 1e6:.1f} M',
            crop,
            f'`{Path(pretrained).name}`',
        ]
        rows.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(rows)


def with_table(text: str) -> str:
    pattern = re.escape(BEGIN) + r'.*?' + re.escape(END)
    assert re.search(pattern, text, flags=re.S), f'the README lacks the lines {BEGIN} and {END}'
    return re.sub(pattern, lambda _: f'{BEGIN}\n{config_table()}\n{END}', text, flags=re.S)


def write_tables(readme: Path) -> None:
    readme.write_text(with_table(readme.read_text(encoding='utf-8')), encoding='utf-8')


def check_tables(readme: Path) -> None:
    text = readme.read_text(encoding='utf-8')
    if with_table(text) != text:
        raise SystemExit('README.md: the table of configs is out of date; run nox -s readme -- --write')
