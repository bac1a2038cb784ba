"""The values of the originals' configs, which MMSegmentation 0.x spelled otherwise, are those of ours."""

import pytest

from support.reference import Reference

REFERENCE = Reference('vit_adapter')


@pytest.fixture(params=REFERENCE.config_names())
def pair(request):
    """Return our config and the original's."""
    return REFERENCE.config(request.param), REFERENCE.of_config('configs', request.param)


def plain(value):
    """Return ``value`` with tuples as lists and all mappings as dictionaries."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def transforms(pipeline):
    """Return the transforms of an original pipeline by type, those inside its test augmentation included."""
    found = {}
    for transform in pipeline:
        arguments = dict(transform)
        found.update(transforms(arguments.pop('transforms', [])))
        found[arguments.pop('type')] = arguments
    return found


def test_model(pair):
    ours, original = pair
    expected = original['model']
    expected['type'] = 'CheckedEncoderDecoder'
    # the originals list one value per block, all the same
    for key in ('window_attn', 'window_size'):
        (expected['backbone'][key],) = set(expected['backbone'][key])
    model = plain(ours.model)
    model.pop('data_preprocessor')
    assert model == expected


def test_normalization(pair):
    ours, original = pair
    # padding came after the normalization, as MMSegmentation 1.x always does it
    for pipeline in ('train_pipeline', 'test_pipeline'):
        normalize = transforms(original[pipeline])['Normalize']
        pad = transforms(original['train_pipeline'])['Pad']
        assert plain(ours.model.data_preprocessor) == {
            'type': 'SegDataPreProcessor',
            'mean': normalize['mean'],
            'std': normalize['std'],
            'bgr_to_rgb': normalize['to_rgb'],
            **pad,
        }


def test_train_pipeline(pair):
    ours, original = pair
    old = transforms(original['train_pipeline'])
    assert list(old) == [
        'LoadImageFromFile', 'LoadAnnotations', 'Resize', 'RandomCrop', 'RandomFlip', 'PhotoMetricDistortion',
        'Normalize', 'Pad', 'DefaultFormatBundle', 'Collect',
    ]  # fmt: skip
    old['RandomResize'] = {'scale': old['Resize'].pop('img_scale'), **old['Resize'], 'keep_ratio': True}
    old['PackSegInputs'] = {}
    kept = ('LoadImageFromFile', 'LoadAnnotations', 'RandomResize', 'RandomCrop', 'RandomFlip')
    kept += ('PhotoMetricDistortion', 'PackSegInputs')
    assert plain(ours.train_dataloader.dataset.pipeline) == [{'type': name, **old[name]} for name in kept]


def test_test_pipeline(pair):
    ours, original = pair
    old = transforms(original['test_pipeline'])
    assert not old['MultiScaleFlipAug']['flip']
    annotations = transforms(original['train_pipeline'])['LoadAnnotations']
    expected = [
        {'type': 'LoadImageFromFile'},
        {'type': 'Resize', 'scale': old['MultiScaleFlipAug']['img_scale'], **old['Resize']},
        {'type': 'ResizeToMultiple', **old['ResizeToMultiple']},
        {'type': 'LoadAnnotations', **annotations},
        {'type': 'PackSegInputs'},
    ]
    assert plain(ours.test_pipeline) == expected
    for dataloader in (ours.val_dataloader, ours.test_dataloader):
        assert plain(dataloader.dataset.pipeline) == expected


def test_data(pair):
    ours, original = pair
    old = original['data']
    assert ours.train_dataloader.batch_size == old['samples_per_gpu']
    assert ours.train_dataloader.num_workers == old['workers_per_gpu']
    loaders = {'train': ours.train_dataloader, 'val': ours.val_dataloader, 'test': ours.test_dataloader}
    for part, loader in loaders.items():
        dataset = loader.dataset
        prefix = dataset.data_prefix
        assert (dataset.type, dataset.data_root) == (old[part]['type'], old[part]['data_root'])
        assert (prefix.img_path, prefix.seg_map_path) == (old[part]['img_dir'], old[part]['ann_dir'])


def test_schedule(pair):
    ours, original = pair
    assert ours.train_cfg.max_iters == original['runner']['max_iters']
    assert ours.train_cfg.val_interval == original['evaluation']['interval']
    hooks = ours.default_hooks
    old = {**original['checkpoint_config'], 'save_best': original['evaluation']['save_best']}
    assert plain(hooks.checkpoint) == {'type': 'CheckpointHook', **old}
    assert hooks.logger.interval == original['log_config']['interval']
    assert ours.val_evaluator.iou_metrics == [original['evaluation']['metric']]
    # no clipping of gradients; the learning rates are compared as numbers
    assert original['optimizer_config'] == {} and 'clip_grad' not in ours.optim_wrapper


def test_runtime(pair):
    ours, original = pair
    assert ours.env_cfg.cudnn_benchmark == original['cudnn_benchmark']
    assert ours.env_cfg.dist_cfg.backend == original['dist_params']['backend']
    assert (ours.log_level, ours.load_from) == (original['log_level'], original['load_from'])
