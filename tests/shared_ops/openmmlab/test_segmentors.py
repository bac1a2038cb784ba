"""A checkpoint fits whole or not at all; in training its heads may differ."""

import copy
import logging
import pickle
from pathlib import Path

import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.logging import MMLogger
from mmengine.model import BaseTTAModel, revert_sync_batchnorm
from mmengine.runner import BaseLoop, load_checkpoint
from torch import nn

from shared_ops.openmmlab import prepare

prepare()
from mmseg.registry import MODELS  # noqa: E402

from shared_ops.openmmlab.checkpoint import load_from_file  # noqa: E402
from shared_ops.openmmlab.checkpoint_hook import CheckpointFitHook  # noqa: E402


@MODELS.register_module()
class OneConvolution(nn.Module):
    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3)
        self.norm = nn.BatchNorm2d(channels)

    def forward(self, image: torch.Tensor) -> list[torch.Tensor]:
        return [self.norm(self.conv(image))]


@MODELS.register_module()
class PretrainedConvolution(OneConvolution):
    def __init__(self, pretrained: str) -> None:
        super().__init__()
        self.pretrained = pretrained


def build(channels: int = 4, num_classes: int = 7) -> nn.Module:
    head = dict(
        type='FCNHead', in_channels=channels, in_index=0, channels=5, num_convs=1, concat_input=False,
        num_classes=num_classes, norm_cfg=dict(type='BN'), loss_decode=dict(type='CrossEntropyLoss'),
    )  # fmt: skip
    config = dict(
        type='CheckedEncoderDecoder', backbone=dict(type='OneConvolution', channels=channels), decode_head=head
    )
    return MODELS.build(config)


@pytest.fixture
def file(tmp_path: Path) -> str:
    torch.manual_seed(1)
    torch.save({'state_dict': build().state_dict(), 'meta': {}}, tmp_path / 'fits.pth')
    return str(tmp_path / 'fits.pth')


def changed(file: str, changes: dict[str, torch.Tensor | None]) -> str:
    """Write the file with some tensors replaced, added or (``None``) left out."""
    checkpoint = torch.load(file)
    for key, value in changes.items():
        checkpoint['state_dict'].pop(key, None)
        if value is not None:
            checkpoint['state_dict'][key] = value
    torch.save(checkpoint, Path(file).with_name('changed.pth'))
    return str(Path(file).with_name('changed.pth'))


MISFITS = {
    'decode_head.conv_seg.bias': None,
    'backbone.conv.bias': None,
    'backbone.extra.weight': torch.ones(2),
    'backbone.conv.weight': torch.ones(2, 3, 3, 3),
}


def test_building_leaves_the_config_alone() -> None:
    """MMSegmentation writes ``pretrained`` into the backbone's config, and then refuses to build from it again."""
    head = dict(type='FCNHead', in_channels=4, in_index=0, channels=5, num_classes=7)
    backbone = dict(type='PretrainedConvolution')
    config = ConfigDict(type='CheckedEncoderDecoder', backbone=backbone, decode_head=head, pretrained='weights.pth')
    for _ in range(2):
        assert MODELS.build(config).backbone.pretrained == 'weights.pth'


@pytest.mark.parametrize('shape', [(3, 5), torch.Size((3, 5))], ids=['image', 'crop'])
def test_scores_have_the_size_of_what_is_decoded(shape: tuple[int, int]) -> None:
    """Whatever is known of the image before it was padded or cut; and the caller's notes stay as they are."""
    metas = [{'ori_shape': (7, 11), 'img_shape': shape, 'pad_shape': (4, 6)}]
    before = copy.deepcopy(metas)
    assert build().eval().encode_decode(torch.ones(1, 3, 13, 17), metas).shape == (1, 7, 13, 17)
    assert metas == before


def test_file_that_fits_is_loaded(file: str) -> None:
    model = build()
    load_checkpoint(model, file)
    assert torch.equal(model.backbone.conv.weight, torch.load(file)['state_dict']['backbone.conv.weight'])


def test_misfits_are_listed(file: str) -> None:
    with pytest.raises(RuntimeError, match=r'changed\.pth does not fit') as error:
        load_checkpoint(build(), changed(file, MISFITS))
    message = str(error.value)
    assert '2 missing in the file: backbone.conv.bias, decode_head.conv_seg.bias' in message
    assert '1 unexpected in the model: backbone.extra.weight' in message
    assert 'backbone.conv.weight (file [2, 3, 3, 3], model [4, 3, 3, 3])' in message
    assert 'OneConvolution' in message


def test_foreign_file_does_not_succeed(file: str, tmp_path: Path) -> None:
    torch.save({f'layer{i}.weight': torch.ones(i + 1) for i in range(50)}, tmp_path / 'foreign.pth')
    with pytest.raises(RuntimeError, match=r'50 unexpected in the model: layer0\.weight.* and 20 more'):
        load_checkpoint(build(), str(tmp_path / 'foreign.pth'))


def test_test_time_augmentation_wraps_without_hiding(file: str) -> None:
    class Wrapper(BaseTTAModel):
        def merge_preds(self, data_samples_list: list[object]) -> None:
            raise NotImplementedError

    with pytest.raises(RuntimeError, match='does not fit'):
        load_checkpoint(Wrapper(module=build()), changed(file, MISFITS))
    load_checkpoint(Wrapper(module=build()), file)


def test_counters_may_be_missing(file: str) -> None:
    counters = {key: None for key in torch.load(file)['state_dict'] if key.endswith('num_batches_tracked')}
    assert counters
    load_checkpoint(build(), changed(file, counters))


def test_state_dicts_load_as_in_pytorch(file: str) -> None:
    state_dict = torch.load(changed(file, {'decode_head.conv_seg.bias': None}))['state_dict']
    result = build().load_state_dict(state_dict, strict=False)
    assert result.missing_keys == ['decode_head.conv_seg.bias']
    with pytest.raises(RuntimeError, match='Missing key'):
        build().load_state_dict(state_dict)
    build().load_state_dict(torch.load(file)['state_dict'], strict=True)


def test_a_failure_is_forgotten(file: str) -> None:
    """After a file that did not fit, one that does is loaded, and a bare state dict is not held to the file's rules."""
    model = build()
    with pytest.raises(RuntimeError, match='does not fit'):
        load_checkpoint(model, changed(file, MISFITS))
    load_checkpoint(model, file)
    model.load_state_dict({}, strict=False)


def test_model_can_be_copied(file: str) -> None:
    for model in (copy.deepcopy(build()), pickle.loads(pickle.dumps(build())), revert_sync_batchnorm(build())):
        load_checkpoint(model, file)
        with pytest.raises(RuntimeError, match='does not fit'):
            load_checkpoint(model, changed(file, MISFITS))


class _Runner:
    """What the hook looks at."""

    def __init__(self, trains: bool, resumes: bool = False) -> None:
        self._train_loop = BaseLoop.__new__(_Loop) if trains else {'type': 'IterBasedTrainLoop'}
        self._resume = resumes


class _Loop(BaseLoop):
    def run(self) -> None:
        """Nothing runs here."""


def load_with_hook(model: nn.Module, file: str, runner: _Runner) -> None:
    from mmengine.runner.checkpoint import _load_checkpoint_to_model

    checkpoint = load_from_file(file)
    CheckpointFitHook().after_load_checkpoint(runner, checkpoint)
    _load_checkpoint_to_model(model, checkpoint)


class _Messages(logging.Handler):
    def __init__(self) -> None:
        super().__init__(level=logging.WARNING)
        self.messages: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.messages.append(record.getMessage())


def test_training_lets_heads_differ(file: str) -> None:
    """A head for 9 classes starts from a checkpoint with 7: the backbone is loaded, the classifier keeps its start."""
    model = build(num_classes=9)
    before = copy.deepcopy(model.state_dict())
    other = changed(file, {'auxiliary_head.conv_seg.bias': torch.ones(7), 'decode_head.convs.0.bn.weight': None})
    logger, handler = MMLogger.get_current_instance(), _Messages()
    logger.addHandler(handler)
    load_with_hook(model, other, _Runner(trains=True))
    logger.removeHandler(handler)
    weights = torch.load(file)['state_dict']
    assert torch.equal(model.backbone.conv.weight, weights['backbone.conv.weight'])
    assert torch.equal(model.decode_head.conv_seg.weight, before['decode_head.conv_seg.weight'])
    assert torch.equal(model.decode_head.convs[0].conv.weight, weights['decode_head.convs.0.conv.weight'])
    (message,) = handler.messages
    for key in ('decode_head.conv_seg.weight', 'auxiliary_head.conv_seg.bias', 'decode_head.convs.0.bn.weight'):
        assert key in message


def test_training_needs_a_backbone_that_fits(file: str) -> None:
    with pytest.raises(RuntimeError, match=r'backbone\.conv\.weight') as error:
        load_with_hook(build(channels=6, num_classes=9), file, _Runner(trains=True))
    assert 'decode_head' not in str(error.value).split('\n', 1)[1], 'only what has to change is listed'


@pytest.mark.parametrize('runner', [_Runner(trains=False), _Runner(trains=True, resumes=True)])
def test_tests_and_resumes_are_strict(file: str, runner: _Runner) -> None:
    with pytest.raises(RuntimeError, match='does not fit'):
        load_with_hook(build(num_classes=9), file, runner)
