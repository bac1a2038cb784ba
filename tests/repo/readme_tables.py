"""The table of configs in the README, made from the configs themselves."""

from __future__ import annotations

import re
from pathlib import Path

BEGIN, END = '<!-- configs: begin (nox -s readme -- --write) -->', '<!-- configs: end -->'


def config_table() -> str:
    """Return one row a config: parameters of the built model, crop, what the authors published, where it starts."""
    import vit_adapter

    import torch
    import yaml
    from mmengine import Config
    from mmseg.registry import MODELS
    from mmseg.utils import register_all_modules

    register_all_modules()
    models = yaml.safe_load((vit_adapter.CONFIG_DIR / 'metafile.yaml').read_text(encoding='utf-8'))['Models']
    published = {model['Name']: model for model in models}
    rows = [
        '| config, its published checkpoint | parameters | crop | published mIoU, one scale / several | starts from |',
        '|---|---|---|---|---|',
    ]
    for path in sorted(vit_adapter.CONFIG_DIR.glob('[!_]*/*.py')):
        config = Config.fromfile(path)
        with torch.device('meta'):
            model = MODELS.build(config.model)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        pretrained = Path(config.model.get('pretrained') or config.model.backbone.get('pretrained')).name
        name, scores = f'`{path.stem}`', '-'
        if path.stem in published:
            name = f'[{name}]({published[path.stem]["Weights"]})'
            metrics = published[path.stem]['Results'][0]['Metrics']
            scores = f'{metrics["mIoU"]} / {metrics["mIoU(ms+flip)"]}'
        # the files of AugReg have names of a hundred characters
        pretrained = pretrained if len(pretrained) < 50 else f'{pretrained[:20]}...{pretrained[-12:]}'
        crop = 'x'.join(map(str, config.crop_size))
        rows.append(f'| {name} | {parameters / 1e6:.1f} M | {crop} | {scores} | `{pretrained}` |')
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
