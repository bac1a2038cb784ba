import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import init_default_scope
from mmseg.registry import DATASETS, MODELS

from support.reference import Reference, deviations

REFERENCE = Reference('vit_adapter')
FOLDER = REFERENCE.folder / 'endtoend'
PIPELINES = REFERENCE.json('endtoend/pipelines.json')
CASES = PIPELINES['cases']
TINY = REFERENCE.config('ade20k/upernet_deit_adapter_tiny_512_160k_ade20k.py')


def without_annotations(pipeline):
    """Return a pipeline for pictures that have none."""
    kept = []
    for transform in pipeline:
        if transform['type'] == 'TestTimeAug':
            steps = [step for step in transform['transforms'] if step[0]['type'] != 'LoadAnnotations']
            transform = {**transform, 'transforms': steps}
        kept += [transform] if transform['type'] != 'LoadAnnotations' else []
    return kept


def views_of(config, image):
    """Return what the model of a config is shown of a picture in a test: inputs and meta data, view by view."""
    init_default_scope('mmseg')
    augmented = config.test_cfg.type == 'AugmentedTestLoop'
    pipeline = config.tta_pipeline if augmented else config.test_pipeline
    data = Compose(without_annotations(pipeline))({'img_path': str(FOLDER / image)})
    preprocessor = MODELS.build(config.model.data_preprocessor)
    views = zip(data['inputs'], data['data_samples'], strict=True) if augmented else [data.values()]
    for inputs, sample in views:
        batch = preprocessor(pseudo_collate([{'inputs': inputs, 'data_samples': sample}]), training=False)
        yield batch['inputs'][0], batch['data_samples'][0].metainfo


@pytest.fixture(scope='module')
def samples():
    """Return the stored pixels of every view."""
    with np.load(FOLDER / 'pipelines.npz') as arrays:
        return dict(arrays)


@pytest.mark.parametrize('case', CASES, ids=[f'{case["config"]}-{case["image"]}' for case in CASES])
def test_pixels_and_sizes_of_every_view(case, samples):
    views = [*views_of(REFERENCE.config(case['config']), case['image'])]
    for (pixels, meta), original in zip(views, case['augmented'], strict=True):
        name = original['name']
        meta = {'pad_shape': meta['img_shape'], **meta}  # MMCV's Resize says nothing of it
        # one step of an 8-bit pixel is 6e-3 of the largest value
        found = deviations({name: pixels}, {name: {**original, 'samples': samples[name]}})
        assert max(found.values()) < 1e-6, found
        for key in ('ori_shape', 'img_shape', 'pad_shape'):
            assert list(meta[key]) == original[key][:2], key  # height and width; the originals add the channels
        # of the first of two resizings, as in the originals
        assert list(meta['scale_factor']) == pytest.approx(original['scale_factor'][:2], rel=1e-7)
        assert bool(meta.get('flip')) == original['flip']
        if original['flip']:
            assert meta['flip_direction'] == original['flip_direction']
        # what was filled in at the right and at the bottom, which the scores lose again
        (height, width), (padded_height, padded_width) = meta['img_shape'], meta['pad_shape']
        padding = meta.get('img_padding_size', meta.get('padding_size', (0, 0, 0, 0)))
        assert tuple(padding) == (0, padded_width - width, 0, padded_height - height)


def test_views_of_aug_test():
    views = Compose(without_annotations(TINY.tta_pipeline))({'img_path': str(FOLDER / CASES[0]['image'])})

    # 256 x 171 pixels; shorter side to 512 times 0.5, 0.75, ..., both rounded up to multiples of 32; each flipped too
    sizes = [(256, 384), (384, 576), (512, 768), (640, 960), (768, 1152), (896, 1344)]
    flips = [sample.metainfo['flip'] for sample in views['data_samples']]
    assert [tuple(view.shape[1:]) for view in views['inputs']] == [size for size in sizes for _ in range(2)]
    assert flips == [False, True] * 6


def write_scene(root, prefix, labels, suffixes=('.jpg', '.png')):
    """Write one picture with its label map into the folders of a data set."""
    photograph = cv2.imread(str(FOLDER / CASES[0]['image']))
    for folder, suffix, picture in zip(prefix.values(), suffixes, (photograph, labels), strict=True):
        (root / folder).mkdir(parents=True)
        cv2.imwrite(str(root / folder / f'scene{suffix}'), picture)


def stripes(number):
    """Return a label map as large as the picture, ``number`` labels side by side."""
    return np.broadcast_to(np.arange(256) % number, (171, 256)).astype(np.uint8)


@pytest.fixture
def dataset(tmp_path, request):
    """Return the data set of one of the config's data loaders, on one picture that is annotated in stripes."""
    settings = {**request.param.dataset, 'data_root': str(tmp_path)}
    write_scene(tmp_path, settings['data_prefix'], stripes(151))
    init_default_scope('mmseg')
    return DATASETS.build(settings)


@pytest.mark.parametrize('dataset', [TINY.train_dataloader], indirect=True)
def test_training_sees_crops_that_are_filled_up(dataset):
    preprocessor = MODELS.build(TINY.model.data_preprocessor)
    filled_up = 0
    for _ in range(40):  # a third of the draws shrink the picture
        data = preprocessor(pseudo_collate([dataset[0]]), training=True)
        labels = data['data_samples'][0].gt_sem_seg.data
        assert data['inputs'].shape == (1, 3, 512, 512) and labels.shape == (1, 512, 512)
        # class 0 of the file is no class: 1 to 150 became 0 to 149, and what was added is ignored
        assert set(labels.unique().tolist()) <= {*range(150), 255}
        padding = labels[0, -1] == 255
        if padding.all():
            filled_up += 1
            assert not data['inputs'][0, :, -1].any()
    assert filled_up


@pytest.mark.parametrize('dataset', [TINY.val_dataloader, TINY.test_dataloader], indirect=True, ids=['val', 'test'])
def test_evaluation_keeps_the_annotation_as_it_is(dataset):
    data = dataset[0]
    assert data['inputs'].shape == (3, 512, 768)
    labels = torch.arange(256) % 151
    expected = torch.where(labels == 0, 255, labels - 1).expand(1, 171, 256)
    assert torch.equal(data['data_samples'].gt_sem_seg.data.long(), expected)


# data set: (suffixes of its files, whether label 0 is no class, number of classes)
DATA_SETS = {
    'chase_db1/mask2former_beit_adapter_large_128_40k_chase_db1_ss.py': (('.png', '_1stHO.png'), False, 2),
    'cityscapes/mask2former_beit_adapter_large_896_80k_cityscapes_ss.py': (
        ('_leftImg8bit.png', '_gtFine_labelTrainIds.png'), False, 19,
    ),
    'coco_stuff10k/upernet_beit_adapter_large_512_80k_cocostuff10k_ss.py': (('.jpg', '_labelTrainIds.png'), True, 171),
    'coco_stuff164k/upernet_beit_adapter_large_640_80k_cocostuff164k_ss.py': (
        ('.jpg', '_labelTrainIds.png'), False, 171,
    ),
    'pascal_context/upernet_beit_adapter_large_480_80k_pascal_context_59_ss.py': (('.jpg', '.png'), True, 59),
    'potsdam/mask2former_beit_adapter_large_512_80k_potsdam_ss.py': (('.png', '.png'), True, 6),
}  # fmt: skip


@pytest.mark.parametrize('name', DATA_SETS)
def test_data_sets_read_their_files(name, tmp_path):
    suffixes, reduces_zero, classes = DATA_SETS[name]
    init_default_scope('mmseg')
    config = REFERENCE.config(name)
    for part in ('train', 'test'):
        settings = config[f'{part}_dataloader'].dataset
        settings = settings.get('dataset', settings)
        root = tmp_path / part
        write_scene(root, settings.data_prefix, stripes(classes + reduces_zero), suffixes)
        if 'ann_file' in settings:
            (root / settings.ann_file).parent.mkdir(parents=True)
            (root / settings.ann_file).write_text('scene\n')
        settings.data_root = str(root)
        dataset = DATASETS.build(config[f'{part}_dataloader'].dataset)
        times = 40000 if name.startswith('chase_db1') and part == 'train' else 1
        assert len(dataset) == times and len(dataset.metainfo['classes']) == classes
        labels = dataset[0]['data_samples'].gt_sem_seg.data
        if part == 'test':
            expected = torch.from_numpy(stripes(classes + reduces_zero).astype(np.int64)) - int(reduces_zero)
            assert torch.equal(labels[0].long(), torch.where(expected < 0, 255, expected))
        else:
            assert set(labels.unique().tolist()) <= {*range(classes), 255}
            assert labels.shape[1] <= config.crop_size[0] and labels.shape[2] <= config.crop_size[1]


@pytest.mark.needs_mmdet  # for its config
def test_mapillary_becomes_cityscapes(tmp_path):
    config = REFERENCE.config('cityscapes/mask2former_beit_adapter_large_896_80k_mapillary_ss.py')
    for settings in config.train_dataloader.dataset.datasets:
        write_scene(tmp_path, settings.data_prefix, stripes(66))
        settings.data_root = str(tmp_path)
        settings.pipeline = [*settings.pipeline[:3], {'type': 'PackSegInputs'}]
    init_default_scope('mmseg')
    dataset = DATASETS.build(config.train_dataloader.dataset)
    assert len(dataset) == 2  # one picture in each of its parts
    # a checkpoint then names the classes that the model has
    assert dataset.metainfo['classes'] == DATASETS.get('CityscapesDataset').METAINFO['classes']
    table = torch.tensor(PIPELINES['mapillary_hack_lut'])
    for data in (dataset[0], dataset[1]):
        expected = table[torch.from_numpy(stripes(66).astype(np.int64))]
        assert torch.equal(data['data_samples'].gt_sem_seg.data[0].long(), expected)
