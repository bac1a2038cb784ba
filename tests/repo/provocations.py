"""Provokes the messages that ``.github/docs/failures.md`` quotes: a function for each, named as in the page.

They run in a folder that has what ``supplies/readme.py`` supplies, and return the message.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import io
import os
import warnings
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import vit_adapter

import torch
from mmengine import Config
from mmseg.registry import MODELS
from mmseg.utils import register_all_modules
from supplies.readme import CONFIG

from shared_ops import _library
from shared_ops.openmmlab import cli, installation

CHECKPOINT = f'checkpoints/{CONFIG}.pth'


def no_kernels() -> str:
    with warnings.catch_warnings(record=True) as caught, replaced(_library, 'failures', {}):
        _library.failures['cpu'] = _library._load('no')
        _library.warn_of_reference.__wrapped__('cpu')
    return str(caught[-1].message).replace('libshared_ops_no', 'libshared_ops_cpu')


def kernels_required() -> str:
    reasons = {'cpu': 'libshared_ops_cpu.so was not built'}
    with replaced(_library, 'failures', reasons), variables(SHARED_OPS_REQUIRE_KERNELS='1'):
        return message_of(lambda: _library.warn_of_reference.__wrapped__('cpu'))


def old_driver() -> str:
    reasons = {'cuda': _library.driver_problem(runtime=13000, driver=12040)}
    with warnings.catch_warnings(record=True) as caught, replaced(_library, 'failures', reasons):
        _library.warn_of_reference.__wrapped__('cuda')
    return str(caught[-1].message)


def two_lines() -> str:
    versions = {
        'onedl-mmengine': '0.10.12',
        'mmengine': '0.10.7',
        'onedl-mmcv': '2.3.6',
        'onedl-mmsegmentation': '1.4.2',
    }
    with replaced(installation, 'version', lookup(versions)):
        return message_of(installation.check_installation)


def nothing_installed() -> str:
    with replaced(installation, 'version', lookup({})):
        return message_of(installation.check_installation)


def compiled_operator() -> str:
    from mmcv.utils import ext_loader

    extension = ext_loader.load_ext('_ext', ['nms'])
    return message_of(extension.nms)


def unknown_type() -> str:
    return message_of(lambda: MODELS.build({'type': 'ViTAdaptor'}))


def no_mmdetection() -> str:
    importlib.import_module('shared_ops.openmmlab.mask2former')  # the real head, whose place it would take
    with replaced(MODELS, 'register_module', lambda: lambda stand_in: stand_in):
        missing = importlib.import_module('shared_ops.openmmlab.mask2former.missing')
    return message_of(missing.SemanticMask2FormerHead)


def foreign_checkpoint() -> str:
    weights = torch.load(CHECKPOINT, weights_only=True)['state_dict']
    weights['backbone.cls_token'] = weights.pop('backbone.level_embed')
    weights['decode_head.conv_seg.bias'] = torch.zeros(19)
    torch.save({'state_dict': weights}, 'other.pth')
    return predict_message('other.pth')


def pickled_code() -> str:
    torch.save({'state_dict': {'weight': torch.zeros(1)}, 'path': Path('anything')}, 'pickled.pth')
    return predict_message('pickled.pth')


def web_page() -> str:
    Path('page.pth').write_text('<!DOCTYPE html><html><body>Not Found</body></html>')
    return predict_message('page.pth')


def empty() -> str:
    Path('empty.pth').touch()
    return predict_message('empty.pth')


def git_lfs() -> str:
    Path('pointer.pth').write_text('version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n')
    return predict_message('pointer.pth')


def packed() -> str:
    with zipfile.ZipFile('model.zip', 'w') as archive:
        archive.writestr('model.pth.tar', b'weights')
    return predict_message('model.zip')


def cut_short() -> str:
    content = Path(CHECKPOINT).read_bytes()
    Path('part.pth').write_bytes(content[: len(content) // 2])
    return predict_message('part.pth')


def missing_checkpoint() -> str:
    return predict_message('released/model.pth.tar')


def missing_pretrained() -> str:
    register_all_modules()
    config = Config.fromfile(vit_adapter.CONFIG_DIR / 'ade20k' / f'{CONFIG}.py')
    model = MODELS.build(config.model)
    return message_of(model.init_weights)


def foreign_pretrained() -> str:
    register_all_modules()
    config = Config.fromfile(vit_adapter.CONFIG_DIR / 'ade20k' / f'{CONFIG}.py')
    torch.save({'pos_embed': torch.zeros(1, 197, 384)}, 'small.pth')
    config.model.pretrained = 'small.pth'
    return message_of(MODELS.build(config.model).init_weights)


def missing_data() -> str:
    return command_message('train', CONFIG, '--cfg-options', 'train_dataloader.dataset.data_root=data/elsewhere')


def strange_labels() -> str:
    from shared_ops.openmmlab.mask2former.targets import mask_targets

    labels = torch.tensor([[0, 21, 22, 255]])
    return message_of(lambda: mask_targets(labels, num_classes=19, ignore_index=255, dtype=torch.float32))


def class_weight() -> str:
    register_all_modules()
    config = Config.fromfile(vit_adapter.CONFIG_DIR / 'ade20k' / 'mask2former_beit_adapter_large_896_80k_ade20k_ss.py')
    config.model.decode_head.num_classes = 19
    config.model.decode_head.train_cfg = config.model.train_cfg
    return message_of(lambda: MODELS.build(config.model.decode_head))


def amp_on_a_cpu() -> str:
    return command_message('train', CONFIG, '--amp')


def out_of_memory() -> str:
    from shared_ops.openmmlab.cli.out_of_memory import advice_when_out_of_memory

    def train() -> None:
        with advice_when_out_of_memory(Config.fromfile(vit_adapter.CONFIG_DIR / 'ade20k' / f'{CONFIG}.py')):
            raise torch.OutOfMemoryError('CUDA out of memory.')

    return message_of(train)


def torchrun_without_launcher() -> str:
    with variables(WORLD_SIZE='2', TORCHELASTIC_RUN_ID='none'):
        return command_message('train', CONFIG)


def no_such_device() -> str:
    return predict_message(CHECKPOINT, '--device', 'nothing')


def unknown_config() -> str:
    return command_message('path', 'upernet_deit_adapter_tiny_512_160_ade20k')


def no_images() -> str:
    return command_message('predict', CONFIG, 'photos/*.jpg', '--checkpoint', CHECKPOINT, '--out', 'predicted')


def config_of_mmseg_0() -> str:
    Path('old.py').write_text("model = dict(type='EncoderDecoder')\noptimizer = dict(type='AdamW', lr=1e-4)\n")
    return command_message('train', 'old.py')


def options_of_mmseg_0() -> str:
    return command_message('test', CONFIG, CHECKPOINT, '--eval', 'mIoU', '--aug-test')


def old_constructor() -> str:
    from mmseg.registry import OPTIM_WRAPPER_CONSTRUCTORS

    constructor = OPTIM_WRAPPER_CONSTRUCTORS.get('LayerIdDecayOptimizerConstructor')(
        {'type': 'OptimWrapper', 'optimizer': {'type': 'AdamW', 'lr': 1e-4}}, {'layer_decay_rate': 0.9, 'num_layer': 12}
    )
    return message_of(lambda: constructor(torch.nn.Linear(1, 1)))


def wrong_image() -> str:
    from vit_adapter import ViTAdapter

    backbone = ViTAdapter(depth=4, embed_dim=48, num_heads=3, interaction_indexes=[[0, 0], [1, 1], [2, 2], [3, 3]])
    return message_of(lambda: backbone(torch.zeros(1, 64, 64, 3)))


def predict_message(checkpoint: str, *options: str) -> str:
    return command_message('predict', CONFIG, 'photo.jpg', '--checkpoint', checkpoint, '--out', 'predicted', *options)


def command_message(*arguments: str) -> str:
    """Return what the command line says after ``error:``."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        status = cli.main('vit_adapter', arguments)
    assert status == 2, f'{arguments} ended with {status}: {said.getvalue()}'
    return said.getvalue().partition('error: ')[2].strip()


def message_of(fail: Callable[[], Any]) -> str:
    """Return the message of the error that a function raises."""
    try:
        fail()
    except Exception as error:
        return str(error)
    raise AssertionError(f'{fail} raised nothing')


def lookup(versions: dict[str, str]) -> Callable[[str], str]:
    """Return a function that knows the versions of these distributions and of no other."""

    def version(name: str) -> str:
        if name not in versions:
            raise importlib.metadata.PackageNotFoundError(name)
        return versions[name]

    return version


@contextlib.contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextlib.contextmanager
def variables(**values: str) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
