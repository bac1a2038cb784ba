"""A package's ``metafile.yml`` in the format of MMSegmentation 1.x, and what it has to say of every config."""

from __future__ import annotations

import re

from mmengine.config import Config
from mmengine.fileio import load

from support.reference import Reference

BACKBONES = {
    'ViTAdapter': 'ViT-Adapter',
    'BEiTAdapter': 'ViT-Adapter',
    'UniPerceiverAdapter': 'ViT-Adapter',
    'BEiTBaseline': 'BEiT',
    'ViTCoMer': 'ViT-CoMer',
    'ViTCoMer_beit': 'ViT-CoMer',
    'InternImage': 'InternImage',
}
HEADS = {'UPerHead': 'UPerNet', 'SegformerHead': 'SegFormer', 'SemanticMask2FormerHead': 'Mask2Former'}
SIZES = {'tiny': 'T', 'small': 'S', 'base': 'B', 'large': 'L'}
# By the folder that pictures for training come from.
DATA_SETS = {
    'data/ADEChallengeData2016': 'ADE20K',
    'data/ade/ADEChallengeData2016': 'ADE20K',
    'data/cityscapes/': 'Cityscapes',
    'data/Mapillary/': 'Mapillary Vistas',
    'data/coco_stuff164k': 'COCO-Stuff 164k',
    'data/coco_stuff10k': 'COCO-Stuff 10k',
    'data/VOCdevkit/VOC2010/': 'Pascal Context 59',
    'data/nyu_depth_v2/': 'NYU Depth v2',
    'data/potsdam': 'Potsdam',
    'data/CHASE_DB1': 'CHASE DB1',
}


def metadata(name: str, config: Config) -> dict:
    """Return those ``Metadata`` that follow from a config."""
    size = re.search(r'_(tiny|small|base|large)_|internimage_(t|s|b|l|xl|h|g)_', name)
    dataset = config.train_dataloader.dataset
    while 'dataset' in dataset:  # repeated
        dataset = dataset.dataset
    roots = [each.data_root for each in dataset.get('datasets', [dataset])]
    return {
        'Training Data': ', '.join(dict.fromkeys(DATA_SETS[root] for root in roots)),
        'Batch Size per GPU': config.train_dataloader.batch_size,
        'Architecture': [
            f'{BACKBONES[config.model.backbone.type]}-{SIZES.get(size[1]) or size[2].upper()}',
            HEADS[config.model.decode_head.type],
        ],
    }


def check_metafile(package: str) -> None:
    """Every config of a package has an entry, which says nothing that the config does not."""
    reference = Reference(package)
    metafile = load(reference.config_dir / 'metafile.yml')
    (collection,) = metafile['Collections']
    paths = sorted(reference.config_dir.glob('[!_]*/*.py'))
    entries = {entry['Name']: entry for entry in metafile['Models']}
    assert sorted(entries) == sorted(path.stem for path in paths) and len(entries) == len(metafile['Models'])
    seen = set()
    for path in paths:
        entry, config = entries[path.stem], reference.config(f'{path.parent.name}/{path.name}')
        assert entry['In Collection'] == collection['Name']
        assert entry['Config'] == f'configs/{package}/{path.parent.name}/{path.name}'
        published = {key: entry['Metadata'].pop(key, None) for key in ('Batch Size', 'Training Resources')}
        assert entry['Metadata'] == metadata(path.stem, config), path
        seen.add(entry['Metadata']['Training Data'])
        if published['Batch Size'] is not None:
            gpus = int(published['Training Resources'].removesuffix(' GPUs'))
            assert published['Batch Size'] == gpus * config.train_dataloader.batch_size, path
        if 'Results' in entry:
            (metric,) = config.test_evaluator.iou_metrics
            metrics = entry['Results']['Metrics']
            assert metrics and set(metrics) <= {metric, f'{metric}(ms+flip)'}, path
            assert entry['Results']['Dataset'] in entry['Metadata']['Training Data'], path
    assert set(collection['Metadata']['Training Data']) == {each for data in seen for each in data.split(', ')}
