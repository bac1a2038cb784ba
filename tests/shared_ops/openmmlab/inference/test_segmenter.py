"""Pictures of several sizes through a model, together and alone."""

from pathlib import Path

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmseg.apis import inference_model, init_model
from mmseg.registry import MODELS

from shared_ops.openmmlab.inference.segmenter import Segmenter
from support.tiny_segmentor import CLASSES, SLIDE, WHOLE, write_segmentor

SIZES = [(40, 61), (33, 48), (40, 61), (61, 40), (40, 61)]


def pictures() -> list[np.ndarray]:
    random = np.random.RandomState(0)
    return [random.randint(0, 256, (*size, 3)).astype(np.uint8) for size in SIZES]


@pytest.mark.parametrize('tta', [False, True], ids=['one view', 'views'])
@pytest.mark.parametrize('test_cfg', [WHOLE, SLIDE], ids=['whole', 'slide'])
def test_together_is_one_by_one(test_cfg: str, tta: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config, checkpoint = write_segmentor(tmp_path, test_cfg=test_cfg)
    segmenter = Segmenter.load(config, checkpoint, device='cpu', tta=tta)
    alone = [segmenter([picture], logits=True)[0] for picture in pictures()]

    batches = []
    real = segmenter._model.test_step
    monkeypatch.setattr(
        segmenter._model, 'test_step', lambda data: batches.append(len(data['inputs'])) or real(data), raising=True
    )
    together = segmenter(pictures(), logits=True)
    assert batches == ([4, 4, 4] if tta else [3, 1, 1])  # of several views, each is a batch
    for one, other, size in zip(alone, together, SIZES):
        assert other.labels.shape == size and other.labels.dtype == np.uint8
        assert other.logits.shape == (len(CLASSES), *size) and other.logits.dtype == np.float32
        np.testing.assert_allclose(other.logits, one.logits, atol=1e-5)
        assert (other.labels == other.logits.argmax(axis=0)).all()
    assert len({segmentation.labels.tobytes() for segmentation in together}) == len(SIZES)


def test_it_is_what_mmsegmentation_predicts(tmp_path: Path) -> None:
    config, checkpoint = write_segmentor(tmp_path, test_cfg=SLIDE)
    picture = pictures()[0]
    model = init_model(str(config), checkpoint, device='cpu')
    expected = inference_model(model, picture)
    (found,) = Segmenter.load(config, checkpoint, device='cpu')([picture], logits=True)
    assert (found.labels == expected.pred_sem_seg.data[0].numpy()).all()
    np.testing.assert_array_equal(found.logits, expected.seg_logits.data.numpy())


@pytest.mark.parametrize('tta_model', ['SegTTAModel', 'RunningMeanTTAModel'])
def test_views_are_averaged_as_mmsegmentation_does(tta_model: str, tmp_path: Path) -> None:
    config, checkpoint = write_segmentor(tmp_path, tta_model=tta_model)
    picture = pictures()[0]
    segmenter = Segmenter.load(config, checkpoint, device='cpu', tta=True)
    (found,) = segmenter([picture], logits=True)

    model = init_model(str(config), checkpoint, device='cpu')
    _, augment = Config.fromfile(config).tta_pipeline
    del augment['transforms'][2]  # annotations
    data = pseudo_collate([Compose([dict(type='LoadImageFromNDArray'), augment])({'img': picture})])
    with torch.no_grad():
        samples = MODELS.build({'type': 'SegTTAModel', 'module': model}).test_step(data)
    assert len(data['inputs']) == 4
    assert (found.labels == samples[0].pred_sem_seg.data.squeeze().numpy()).all()
    np.testing.assert_allclose(np.exp(found.logits).sum(axis=0), 1, atol=1e-5)
    assert (found.labels != segmenter_of_one_view(config, checkpoint)([picture])[0].labels).any()


def segmenter_of_one_view(config: Path, checkpoint: str) -> Segmenter:
    return Segmenter.load(config, checkpoint, device='cpu')


@pytest.mark.parametrize('test_cfg', [WHOLE, SLIDE], ids=['whole', 'slide'])
def test_bfloat16_agrees_with_float32(test_cfg: str, tmp_path: Path) -> None:
    config, checkpoint = write_segmentor(tmp_path, test_cfg=test_cfg)
    exact = Segmenter.load(config, checkpoint, device='cpu')(pictures(), logits=True)
    rounded = Segmenter.load(config, checkpoint, device='cpu', amp=torch.bfloat16)(pictures(), logits=True)
    for one, other in zip(exact, rounded):
        assert other.logits.dtype == np.float32
        difference = np.abs(other.logits - one.logits).max()
        assert 0 < difference < 0.02 * np.abs(one.logits).max()
        assert np.mean(one.labels != other.labels) < 0.02
        # scores that were resized in bfloat16 would have at most 256 values in each power of two
        assert len(np.unique(other.logits)) > 0.5 * other.logits.size


def test_more_classes_than_a_byte_holds(tmp_path: Path) -> None:
    config, checkpoint = write_segmentor(tmp_path, classes=tuple(f'class {index}' for index in range(256)))
    segmenter = Segmenter.load(config, checkpoint, device='cpu')
    (found,) = segmenter(pictures()[:1])
    assert found.labels.dtype == np.uint16 and found.logits is None
    assert segmenter([]) == []


def test_what_cannot_be_used_is_refused(tmp_path: Path) -> None:
    config, checkpoint = write_segmentor(tmp_path)
    segmenter = Segmenter.load(config, checkpoint, device='cpu')
    for bad in (np.zeros((4, 5), np.uint8), np.zeros((4, 5, 3), np.float32), np.zeros((0, 5, 3), np.uint8)):
        with pytest.raises(ValueError, match=r'pictures\[1\] is .*has to be uint8 \[height, width, 3\]'):
            segmenter([pictures()[0], bad])
    with pytest.raises(ValueError, match=r'float16.*65504'):
        Segmenter.load(config, checkpoint, device='cpu', amp=torch.float16)
    with pytest.raises(ValueError, match="device 'gpu' cannot be used"):
        Segmenter.load(config, checkpoint, device='gpu')

    config.write_text(config.read_text().replace('tta_', 'no_').replace('test_pipeline', 'no_pipeline'))
    with pytest.raises(ValueError, match='has no test_pipeline'):
        Segmenter.load(config, checkpoint, device='cpu')
    with pytest.raises(ValueError, match='has no tta_pipeline'):
        Segmenter.load(config, checkpoint, device='cpu', tta=True)
