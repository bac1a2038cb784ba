"""The values of the originals' configs, which MMSegmentation 0.x spelled otherwise, are those of ours.

Each function takes our config and the original's, resolved, and serves any package and any of its data sets.
"""

import inspect
from typing import Any

from mmengine.config import Config
from mmseg.registry import DATASETS

from support.old_configs import (
    mask2former_head,
    mask2former_training,
    multi_scale_pipeline,
    single_scale_pipeline,
    transforms,
)

# test.py --aug-test of the originals
AUG_TEST = {'img_ratios': [0.5, 0.75, 1.0, 1.25, 1.5, 1.75], 'flip': True}


def plain(value: Any) -> Any:
    """Return ``value`` with tuples as lists and all mappings as dictionaries."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def check_backbone(ours: Config, original: dict) -> None:
    """The backbone's arguments are the original's, as is where its weights come from."""
    default = {'out_indices': [0, 1, 2, 3]}  # one original leaves it out
    assert plain(ours.model.backbone) == {**default, **original['model']['backbone']}
    # InternImage's original configs name a ResNet there, which they never load
    assert ours.model.pretrained is None


def check_heads(ours: Config, original: dict) -> None:
    """Heads, losses and how a picture is tested are the original's."""
    expected, model = original['model'], plain(ours.model)
    assert model['type'] == 'CheckedEncoderDecoder'
    if expected['decode_head']['type'] == 'Mask2FormerHead':
        assert model['decode_head'] == mask2former_head(expected['decode_head'])
        assert model['train_cfg'] == mask2former_training(expected['train_cfg'])
    else:
        assert model['decode_head'] == expected['decode_head']
        assert model['train_cfg'] == expected['train_cfg']
    assert model.get('auxiliary_head') == expected.get('auxiliary_head')
    # the rest of the original's test_cfg is for panoptic and instance segmentation
    kept = {key: expected['test_cfg'][key] for key in ('mode', 'crop_size', 'stride') if key in expected['test_cfg']}
    assert model['test_cfg'] == kept


def check_normalization(ours: Config, original: dict) -> None:
    """Mean, deviation and padding; padding came after the normalization, as MMSegmentation 1.x always does it."""
    pad = transforms(original['train_pipeline'])['Pad']
    for pipeline in ('train_pipeline', 'test_pipeline'):
        normalize = transforms(original[pipeline])['Normalize']
        assert plain(ours.model.data_preprocessor) == {
            'type': 'SegDataPreProcessor',
            'mean': normalize['mean'],
            'std': normalize['std'],
            'bgr_to_rgb': normalize['to_rgb'],
            **pad,
        }


def check_train_pipeline(ours: Config, original: dict) -> None:
    """Every data set of the training transforms pictures as the original does."""
    old = transforms(original['train_pipeline'])
    # what ToMask does is done by the head
    known = ['LoadImageFromFile', 'LoadAnnotations', 'MapillaryHack', 'Resize', 'RandomCrop', 'RandomFlip']
    known += ['PhotoMetricDistortion', 'Normalize', 'Pad', 'ToMask', 'DefaultFormatBundle', 'Collect']
    assert list(old) == [name for name in known if name in old]
    old['RandomResize'] = {'scale': old['Resize'].pop('img_scale'), **old['Resize'], 'keep_ratio': True}
    old['LoadAnnotations'] = old['PackSegInputs'] = {}
    kept = ('LoadImageFromFile', 'LoadAnnotations', 'MapillaryHack', 'RandomResize', 'RandomCrop', 'RandomFlip')
    kept += ('PhotoMetricDistortion', 'PackSegInputs')
    expected = [{'type': name, **old[name]} for name in kept if name in old]
    for dataset in train_datasets(ours):
        assert plain(dataset.pipeline) == expected


def check_test_pipelines(ours: Config, original: dict) -> None:
    """Testing shows what the original shows: one view, and those of its multi-scale test or of ``--aug-test``."""
    load, augment = original['test_pipeline']
    several = 'img_ratios' in augment
    one = single_scale_pipeline([load, {key: value for key, value in augment.items() if key != 'img_ratios'}])
    for pipeline in (ours.test_pipeline, ours.val_dataloader.dataset.pipeline, ours.test_dataloader.dataset.pipeline):
        assert plain(pipeline) == plain(one)
    views = augment if several else {**augment, **AUG_TEST}
    assert plain(ours.tta_pipeline) == plain(multi_scale_pipeline([load, views]))
    assert ours.test_cfg.type == ('AugmentedTestLoop' if several else 'TestLoop')
    assert ours.tta_model.type == 'RunningMeanTTAModel'


def check_data(ours: Config, original: dict) -> None:
    """Data sets, their files, whether label 0 is a class, batch and workers are the original's."""
    old = original['data']
    assert ours.train_dataloader.batch_size == old['samples_per_gpu']
    assert ours.train_dataloader.num_workers == old['workers_per_gpu']
    reduced = transforms(original['train_pipeline'])['LoadAnnotations'].get('reduce_zero_label', False)
    datasets = {
        'train': train_datasets(ours), 'val': [ours.val_dataloader.dataset], 'test': [ours.test_dataloader.dataset],
    }  # fmt: skip
    for part, found in datasets.items():
        images, annotations = old[part]['img_dir'], old[part]['ann_dir']
        folders = [*zip(images, annotations, strict=True)] if isinstance(images, list) else [(images, annotations)]
        assert [(dataset.data_prefix.img_path, dataset.data_prefix.seg_map_path) for dataset in found] == folders
        for dataset in found:
            assert (dataset.type, dataset.data_root) == (old[part]['type'], old[part]['data_root'])
            assert dataset.get('ann_file') == old[part].get('split')
            assert _reduces_zero_label(dataset) == reduced


def check_schedule(ours: Config, original: dict) -> None:
    """Iterations, clipping, evaluation, checkpoints and runtime; learning rates are compared as numbers elsewhere."""
    assert ours.train_cfg.max_iters == original['runner']['max_iters']
    assert ours.train_cfg.val_interval == original['evaluation']['interval']
    assert plain(ours.optim_wrapper.get('clip_grad')) == original['optimizer_config'].get('grad_clip')
    old = {**original['checkpoint_config'], 'save_best': original['evaluation']['save_best']}
    assert plain(ours.default_hooks.checkpoint) == {'type': 'SafeCheckpointHook', **old}
    assert ours.default_hooks.logger.interval == original['log_config']['interval']
    for evaluator in (ours.val_evaluator, ours.test_evaluator):
        assert evaluator.iou_metrics == [original['evaluation']['metric']]
    assert ours.env_cfg.cudnn_benchmark == original['cudnn_benchmark']
    assert ours.env_cfg.dist_cfg.backend == original['dist_params']['backend']
    assert (ours.log_level, ours.load_from) == (original['log_level'], original['load_from'])


CHECKS = [
    check_backbone,
    check_heads,
    check_normalization,
    check_train_pipeline,
    check_test_pipelines,
    check_data,
    check_schedule,
]


def train_datasets(config: Config) -> list[dict]:
    """Return the data sets of the training that hold pictures."""
    dataset = config.train_dataloader.dataset
    return dataset.get('datasets', [dataset])


def _reduces_zero_label(dataset: dict) -> bool:
    """Return whether a data set takes label 0 for "no class"."""
    default = inspect.signature(DATASETS.get(dataset.type).__init__).parameters.get('reduce_zero_label')
    return dataset.get('reduce_zero_label', default is not None and default.default)
