"""Several views of every picture in a test, because the config says so."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner
from mmengine.structures import PixelData
from torch import nn

from shared_ops.openmmlab import prepare

prepare()
from mmseg.registry import MODELS  # noqa: E402

CLASSES = ('dark', 'grey', 'bright')
SETTINGS = """
default_scope = 'mmseg'
model = dict(type='LeftRight', data_preprocessor=dict(type='SegDataPreProcessor', test_cfg=None))
load = [dict(type='LoadImageFromFile')]
pack = [dict(type='LoadAnnotations'), dict(type='PackSegInputs')]
test_pipeline = load + pack
tta_pipeline = load + [dict(type='TestTimeAug', transforms=[
    [dict(type='RandomFlip', prob=0.0, direction='horizontal'),
     dict(type='RandomFlip', prob=1.0, direction='horizontal')],
    [dict(type='LoadAnnotations')],
    [dict(type='PackSegInputs')]])]
tta_model = dict(type='RunningMeanTTAModel')
test_cfg = dict(type='AugmentedTestLoop')
test_dataloader = dict(
    batch_size=1, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='BaseSegDataset', data_root='.', data_prefix=dict(img_path='images', seg_map_path='labels'),
        img_suffix='.png', metainfo=dict(classes={classes}, palette=[[0, 0, 0], [9, 9, 9], [99, 99, 99]]),
        pipeline=test_pipeline))
test_evaluator = dict(type='IoUMetric', iou_metrics=['mIoU'])
work_dir = 'work'
""".replace('{classes}', repr(CLASSES))


@MODELS.register_module()
class LeftRight(BaseModel):
    """Sees classes by brightness, but at the left of what it is shown it is sure of the last one."""

    out_channels = len(CLASSES)

    def __init__(self, data_preprocessor=None):
        super().__init__(data_preprocessor)
        self.bias = nn.Parameter(torch.tensor(0.0))
        self.calls = 0

    def forward(self, inputs, data_samples=None, mode='tensor'):
        self.calls += 1
        centers = torch.tensor([0.0, 100.0, 200.0])[:, None, None]
        for image, sample in zip(inputs, data_samples, strict=True):
            scores = self.bias - (image[:1].float() - centers).abs() / 50  # [K, H, W]
            scores[2, :, : image.shape[-1] // 4] += 3.0
            if sample.get('flip'):
                scores = scores.flip(-1)
            sample.seg_logits = PixelData(data=scores)
            sample.pred_sem_seg = PixelData(data=scores.argmax(dim=0, keepdim=True))
        return data_samples


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Return a config for two pictures of three grey levels, in the folder of which the test runs."""
    monkeypatch.chdir(tmp_path)
    for folder in ('images', 'labels'):
        Path(folder).mkdir()
    random = np.random.RandomState(0)
    for name in ('first', 'second'):
        labels = random.randint(0, 3, (14, 24)).astype(np.uint8)
        cv2.imwrite(f'labels/{name}.png', labels)
        cv2.imwrite(f'images/{name}.png', np.repeat(labels[..., None] * 100, 3, axis=2))
    Path('settings.py').write_text(SETTINGS)
    return Config.fromfile('settings.py')


def run_test(config: Config, name: str) -> tuple[dict[str, float], Runner]:
    config.experiment_name = name
    runner = Runner.from_cfg(config)
    return runner.test(), runner


def test_is_what_tta_does(config):
    metrics, runner = run_test(config.copy(), 'augmented')
    assert isinstance(runner.model, LeftRight) and runner.model.calls == 4  # two pictures, each twice
    # as tools/test.py --tta changes the config, with MMSegmentation's own model
    for kind in ('SegTTAModel', 'RunningMeanTTAModel'):
        for loop in ('TestLoop', 'AugmentedTestLoop'):
            wrapped = Config.fromfile('settings.py')
            wrapped.test_cfg.type, wrapped.tta_model.type = loop, kind
            wrapped.test_dataloader.dataset.pipeline = wrapped.tta_pipeline
            wrapped.tta_model.module = wrapped.model
            wrapped.model = wrapped.tta_model
            by_option, runner = run_test(wrapped, f'{kind}-{loop}')
            assert by_option == metrics and runner.model.module.calls == 4
    single = Config.fromfile('settings.py')
    single.test_cfg.type = 'TestLoop'
    plain, runner = run_test(single, 'single')
    # what a view sees badly the other one sees well
    assert runner.model.calls == 2 and plain['mIoU'] < metrics['mIoU']


def test_the_scores_are_the_logarithm_of_the_average():
    model = LeftRight(dict(type='mmseg.SegDataPreProcessor'))
    from mmseg.structures import SegDataSample

    def view(flip):
        image = torch.arange(5 * 12).reshape(1, 5, 12).expand(3, 5, 12).to(torch.uint8)
        image = image.flip(-1) if flip else image
        return [image], [SegDataSample(metainfo={'flip': flip, 'img_path': 'x.png'})]

    inputs, samples = zip(view(False), view(True), view(False), strict=True)
    (result,) = MODELS.build({'type': 'RunningMeanTTAModel', 'module': model}).test_step(
        {'inputs': [*inputs], 'data_samples': [*samples]}
    )
    expected = torch.zeros(3, 5, 12)
    for flip in (False, True, False):
        images, one = view(flip)
        (prediction,) = model.test_step({'inputs': images, 'data_samples': one})
        expected += prediction.seg_logits.data.softmax(dim=0) / 3
    torch.testing.assert_close(result.seg_logits.data.softmax(dim=0), expected)
    assert torch.equal(result.pred_sem_seg.data[0], expected.argmax(dim=0))
    assert (result.metainfo['flip'], result.metainfo['img_path']) == (False, 'x.png')


@pytest.mark.parametrize('missing', ['tta_pipeline', 'tta_model'])
def test_says_what_the_config_lacks(config, missing):
    config.pop(missing)
    with pytest.raises(ValueError, match=f'the config has no {missing}'):
        run_test(config, missing)
