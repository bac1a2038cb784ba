"""The values of the originals' configs, which MMSegmentation 0.x spelled otherwise, are those of ours."""

import inspect

import pytest
from mmseg.registry import DATASETS

from support.old_configs import (
    mask2former_head,
    mask2former_training,
    multi_scale_pipeline,
    padded_to,
    single_scale_pipeline,
    transforms,
)
from support.reference import Reference

REFERENCE = Reference('vit_adapter')
# test.py --aug-test of the originals
AUG_TEST = {'img_ratios': [0.5, 0.75, 1.0, 1.25, 1.5, 1.75], 'flip': True}
TEST_CFG = ('mode', 'crop_size', 'stride')


@pytest.fixture(scope='module', params=REFERENCE.config_names())
def pair(request):
    """Return our config and the original's."""
    return REFERENCE.config(request.param), REFERENCE.of_config('configs', request.param)


@pytest.fixture
def single_scale(pair):
    """Return the original that tests the same model with one scale."""
    ours, original = pair
    if 'img_ratios' not in transforms(original['test_pipeline'])['MultiScaleFlipAug']:
        return original
    name = ours.filename.removeprefix(f'{REFERENCE.config_dir}/').replace('_ms.py', '_ss.py')
    return REFERENCE.of_config('configs', name)


def plain(value):
    """Return ``value`` with tuples as lists and all mappings as dictionaries."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def test_there_are_all_41():
    files = (REFERENCE.folder / 'configs').glob('*.json.gz')
    originals = sorted(path.name.replace('__', '/').replace('.json.gz', '.py') for path in files)
    assert len(originals) == 41 and REFERENCE.config_names() == originals


def test_backbone_and_pretrained_weights(pair):
    ours, original = pair
    expected = original['model']['backbone']
    # the originals list one value per block, all the same
    for key in {'window_attn', 'window_size'} & {*expected}:
        (expected[key],) = set(expected[key])
    without = {'with_cp': False}
    assert {**without, **plain(ours.model.backbone)} == {**without, **expected}
    assert ours.model.pretrained == original['model']['pretrained']


def test_heads(pair):
    ours, original = pair
    expected = original['model']
    model = plain(ours.model)
    if expected['decode_head']['type'] == 'Mask2FormerHead':
        assert mask2former_head(expected['decode_head']) == model['decode_head']
        assert mask2former_training(expected['train_cfg']) == model['train_cfg']
        assert 'auxiliary_head' not in model
    else:
        for part in ('decode_head', 'auxiliary_head', 'train_cfg'):
            assert model[part] == expected[part]
    assert model['test_cfg'] == {key: expected['test_cfg'][key] for key in TEST_CFG}
    assert model['type'] == 'CheckedEncoderDecoder'


def test_normalization(pair):
    ours, original = pair
    expected = {'type': 'SegDataPreProcessor', 'bgr_to_rgb': True}
    # MMSegmentation 1.x normalises after the pipeline, and may fill up after that
    if padded_to(original['test_pipeline']):
        expected['test_cfg'] = {'size': padded_to(original['test_pipeline'])}
    for pipeline in ('train_pipeline', 'test_pipeline'):
        normalize = transforms(original[pipeline])['Normalize']
        assert normalize['to_rgb']
        expected = {**expected, 'mean': normalize['mean'], 'std': normalize['std']}
        expected.update(transforms(original['train_pipeline'])['Pad'])
        assert plain(ours.model.data_preprocessor) == expected


def train_datasets(config):
    """Return the data sets of the training that hold pictures."""
    dataset = config.train_dataloader.dataset
    dataset = dataset.get('dataset', dataset)
    return dataset.get('datasets', [dataset])


def test_train_pipeline(pair):
    ours, original = pair
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


def test_test_pipeline_shows_a_single_view(pair, single_scale):
    ours, _ = pair
    expected = plain(single_scale_pipeline(single_scale['test_pipeline']))
    assert plain(ours.test_pipeline) == expected
    for dataloader in (ours.val_dataloader, ours.test_dataloader):
        assert plain(dataloader.dataset.pipeline) == expected


def test_augmented_views(pair):
    ours, original = pair
    load, augment = original['test_pipeline']
    # the originals' tests with one view have --aug-test as well
    views = augment if augment['flip'] else {**augment, **AUG_TEST}
    assert plain(ours.tta_pipeline) == plain(multi_scale_pipeline([load, views]))
    assert ours.test_cfg.type == ('AugmentedTestLoop' if augment['flip'] else 'TestLoop')
    assert ours.tta_model.type == 'RunningMeanTTAModel'


def reduces_zero_label(dataset):
    """Return whether a data set takes label 0 for "no class"."""
    default = inspect.signature(DATASETS.get(dataset.type).__init__).parameters.get('reduce_zero_label')
    return dataset.get('reduce_zero_label', default is not None and default.default)


def test_data(pair):
    ours, original = pair
    old = original['data']
    assert ours.train_dataloader.batch_size == old['samples_per_gpu']
    assert ours.train_dataloader.num_workers == old['workers_per_gpu']
    if old['train']['type'] == 'RepeatDataset':
        wrapper = old['train']
        old['train'] = wrapper.pop('dataset')
        assert plain(ours.train_dataloader.dataset) == {**wrapper, 'dataset': plain(train_datasets(ours)[0])}
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
            assert reduces_zero_label(dataset) == old[part].get('reduce_zero_label', reduced) == reduced


def test_schedule(pair):
    ours, original = pair
    assert ours.train_cfg.max_iters == original['runner']['max_iters']
    assert ours.train_cfg.val_interval == original['evaluation']['interval']
    hooks = ours.default_hooks
    old = {**original['checkpoint_config'], 'save_best': original['evaluation']['save_best']}
    assert plain(hooks.checkpoint) == {'type': 'SafeCheckpointHook', **old}
    assert hooks.logger.interval == original['log_config']['interval']
    for evaluator in (ours.val_evaluator, ours.test_evaluator):
        assert evaluator.iou_metrics == [original['evaluation']['metric']]
    # no clipping of gradients; the learning rates are compared as numbers
    assert original['optimizer_config'] == {} and 'clip_grad' not in ours.optim_wrapper


def test_runtime(pair):
    ours, original = pair
    assert ours.env_cfg.cudnn_benchmark == original['cudnn_benchmark']
    assert ours.env_cfg.dist_cfg.backend == original['dist_params']['backend']
    assert (ours.log_level, ours.load_from) == (original['log_level'], original['load_from'])
