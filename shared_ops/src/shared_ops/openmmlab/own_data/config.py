"""The config that trains a published model on other data: what differs, in lines that a user would write."""

from __future__ import annotations

import math
import pprint
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from ...errors import InputError
from .classes import ClassList
from .folders import Pairs

# Pictures in a training step of the published models, all GPUs together, for which the learning rates were chosen.
PUBLISHED_BATCH = 16
# Without --iterations: so many times every picture, and no fewer steps than this, rounded up to whole hundreds.
_PASSES, _FEWEST = 200, 1000
_WARM_UP = 1500
# Columns of the written lines, where they can be broken.
_WIDTH = 110


@dataclass(frozen=True)
class OwnData:
    """Where the data is, and what it shows.

    Attributes:
        root: folder that the others lie in.
        train: folders of pictures and of label maps to learn from, relative to ``root``.
        val: the same for those that are held back.
        pairs: how their names go together; ``pairs.count`` is the number of pictures to learn from.
        classes: names and colours.
        ignored: values in the label maps, beside 255, that are no class.
        zero_is_ignored: whether 0 is no class, and value 1 the first class.
    """

    root: str
    train: tuple[str, str]
    val: tuple[str, str]
    pairs: Pairs
    classes: ClassList
    ignored: Sequence[int] = ()
    zero_is_ignored: bool = False


@dataclass(frozen=True)
class Plan:
    """How the model is trained; None takes what fits the published config.

    Attributes:
        crop: (height, width) of what a training step sees of a picture, in pixels.
        short_side: length to which the shorter side of pictures is resized, in pixels.
        batch: pictures in an iteration on every GPU.
        accumulate: iterations whose gradients make one update.
        iterations: length of the training.
        learning_rate: of the head and the last layers.
    """

    crop: tuple[int, int] | None = None
    short_side: int | None = None
    batch: int = 2
    accumulate: int = 1
    iterations: int | None = None
    learning_rate: float | None = None


@dataclass(frozen=True)
class Weights:
    """What the training starts from.

    Attributes:
        checkpoint: a checkpoint of the same model, whose head may be for other classes.
        random: random numbers. Without either, what the published config starts from.
    """

    checkpoint: str | None = None
    random: bool = False


def config_text(package: str, base: Path, folder: Path, data: OwnData, plan: Plan, weights: Weights) -> str:
    """Return the text of a config over a published one.

    Args:
        package: import name of the package that the config belongs to.
        base: the published config.
        folder: the package's folder of configs, which holds it.
        data: the user's data.
        plan: what is to be other than in the published config.
        weights: what the training starts from.

    Raises:
        ValueError: ``plan`` holds numbers that cannot be.
    """
    published = Config.fromfile(base)
    crop = plan.crop or tuple(published.crop_size)
    _check_plan(plan, crop)
    if plan.batch == 1 and published.model.decode_head.type == 'UPerHead':
        raise InputError(
            'batch is 1, but UPerNet normalises the mean of whole pictures over the batch, which takes 2 of them; '
            'say batch 2, or write 1 into the config if you train on several GPUs'
        )
    scale = _scale(published, crop, plan.short_side)
    pipeline_lines = _pipeline_lines(published, crop, scale)
    parts = [
        f'# {base.stem} for other data; what is not said here is as published',
        f'_base_ = {_base_expression(package, base, folder)}',
        *_start_lines(published, weights),
        *_class_lines(data.classes),
        '',
        *_model_lines(published, crop, weights),
        *pipeline_lines,
        '',
        *_data_lines(published, data, plan, new_pipelines=bool(pipeline_lines)),
        '',
        *_schedule_lines(published, data, plan),
    ]
    return '\n'.join(parts) + '\n'


def _check_plan(plan: Plan, crop: tuple[int, int]) -> None:
    numbers = {
        'crop': min(crop),
        'short_side': plan.short_side,
        'batch': plan.batch,
        'accumulate': plan.accumulate,
        'iterations': plan.iterations,
        'learning_rate': plan.learning_rate,
    }
    for name, number in numbers.items():
        if number is not None and not number > 0:
            raise InputError(f'{name} is {number}; it has to be more than 0')
    if min(crop) < 32:
        raise InputError(f'crop is {crop[0]} x {crop[1]} pixels; the models see patches of 32 and need at least one')


def _base_expression(package: str, base: Path, folder: Path) -> str:
    """Return Python for the path of the base, which finds it where the package is installed on any machine."""
    if base.is_relative_to(folder):
        return f"str(__import__('{package}').CONFIG_DIR / '{base.relative_to(folder).as_posix()}')"
    return repr(base.as_posix())


def _class_lines(classes: ClassList) -> list[str]:
    return [
        *_assignment('classes', classes.names),
        *_assignment('palette', classes.palette),
    ]


def _assignment(name: str, value: object) -> list[str]:
    """Return ``name = value``, over several lines where it is long."""
    text = f'{name} = {value!r}'
    if len(text) <= _WIDTH:
        return [text]
    inner = pprint.pformat(value, width=106, compact=True)[1:-1].splitlines()
    return [f'{name} = [', *(f'    {line.strip()}' for line in inner), ']']


def _dictionary(name: str, parts: Sequence[str]) -> list[str]:
    """Return ``name = dict(parts)``, over several lines where it is long."""
    text = f'{name} = dict({", ".join(parts)})'
    if len(text) <= _WIDTH:
        return [text]
    lines = ['']
    for part in parts:
        if lines[-1] and len(f'{lines[-1]} {part},') > _WIDTH:
            lines.append('')
        lines[-1] += f'{" " if lines[-1] else "    "}{part},'
    return [f'{name} = dict(', *lines[:-1], lines[-1].removesuffix(',') + ')']


def _start_lines(published: Config, weights: Weights) -> list[str]:
    if weights.checkpoint:
        return [f'load_from = {weights.checkpoint!r}  # what does not fit the classes starts anew']
    return ['load_from = None'] if weights.random and published.get('load_from') else []


def _model_lines(published: Config, crop: tuple[int, int], weights: Weights) -> list[str]:
    model = published.model
    lines, parts = [], []
    if weights.checkpoint or weights.random:
        parts += ['pretrained=None'] if model.get('pretrained') else []
        parts += ['backbone=dict(init_cfg=None)'] if model.backbone.get('init_cfg') else []
    loss = ''
    if 'class_weight' in (model.decode_head.get('loss_cls') or {}):  # Mask2Former's; the last is "no object"
        loss = ', loss_cls=dict(class_weight=[1.0] * len(classes) + [0.1])'
    parts.append(f'decode_head=dict(num_classes=len(classes){loss})')
    if model.get('auxiliary_head'):
        parts.append('auxiliary_head=dict(num_classes=len(classes))')
    if crop != tuple(published.crop_size):
        lines.append(f'crop_size = {crop}  # height, width')
        test_size = ', test_cfg=dict(size=crop_size)' if model.data_preprocessor.get('test_cfg') else ''
        parts.append(f'data_preprocessor=dict(size=crop_size{test_size})')
        if model.test_cfg.mode == 'slide':
            # the originals let their windows overlap by a third
            stride = tuple(max(1, side * 2 // 3) for side in crop)
            parts.append(f'test_cfg=dict(crop_size=crop_size, stride={stride})')
    return [*lines, *_dictionary('model', parts)]


def _scale(published: Config, crop: tuple[int, int], short_side: int | None) -> tuple[int, int]:
    """Return the (longest, shorter) side of resized pictures, in the published config's proportion to the crop."""
    long, short = max(published.test_pipeline[1].scale), min(published.test_pipeline[1].scale)
    wanted = short_side or round(short * min(crop) / min(published.crop_size))
    return round(wanted * long / short), wanted


def _pipeline_lines(published: Config, crop: tuple[int, int], scale: tuple[int, int]) -> list[str]:
    """Return what changes the pipelines; nothing where the published ones fit."""
    steps = [step.type for step in published.train_pipeline]
    lines = []
    if 'MapillaryHack' in steps:
        lines.append(f'del train_pipeline[{steps.index("MapillaryHack")}]  # for Mapillary Vistas alone')
        steps.remove('MapillaryHack')
    if crop != tuple(published.crop_size):
        lines.append(f'train_pipeline[{steps.index("RandomCrop")}].crop_size = crop_size')
    if scale != tuple(published.test_pipeline[1].scale):
        resize = f'train_pipeline[{steps.index("RandomResize")}].scale'
        lines += [
            f'{resize} = test_pipeline[1].scale = {scale}  # longest, shorter side',
            'tta_pipeline = _base_.tta_pipeline',
            'tta_pipeline[1].transforms[0] = [',
            f"    dict(type='Resize', scale=(int({scale[0]} * r), int({scale[1]} * r)), keep_ratio=True)",
            '    for r in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)]',
        ]
    return ['train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline', *lines] if lines else []


def _data_lines(published: Config, data: OwnData, plan: Plan, *, new_pipelines: bool) -> list[str]:
    # joined or repeated data sets, lists of files and the like
    foreign = any(
        set(published[f'{split}_dataloader'].dataset) - {'type', 'data_root', 'data_prefix', 'pipeline'}
        for split in ('train', 'val')
    )
    own = ['_delete_=True'] if foreign else []
    own += ["type='OwnDataset'", f'data_root={data.root!r}']
    own += [f'img_suffix={data.pairs.img_suffix!r}', f'seg_map_suffix={data.pairs.seg_map_suffix!r}']
    own += ['reduce_zero_label=True'] if data.zero_is_ignored else []
    own += [f'ignored={sorted(data.ignored)}'] if data.ignored else []
    lines = _dictionary('own', [*own, 'metainfo=dict(classes=classes, palette=palette)'])
    batches = {'train': f'batch_size={plan.batch}, ', 'val': ''}
    pipelines = {'train': 'train_pipeline', 'val': 'test_pipeline'}
    if foreign and not new_pipelines:
        pipelines = {split: f'_base_.{name}' for split, name in pipelines.items()}
    for split, (pictures, label_maps) in {'train': data.train, 'val': data.val}.items():
        pipeline = f', pipeline={pipelines[split]}' if foreign or new_pipelines else ''
        lines += [
            f'{split}_dataloader = dict({batches[split]}dataset=dict(',
            f'    data_prefix=dict(img_path={pictures!r}, seg_map_path={label_maps!r}){pipeline}, **own))',
        ]
    return [*lines, 'test_dataloader = val_dataloader']


def _schedule_lines(published: Config, data: OwnData, plan: Plan) -> list[str]:
    pictures = plan.batch * plan.accumulate
    rate = published.optim_wrapper.optimizer.lr
    if plan.learning_rate is None:
        learning_rate = rate * math.sqrt(pictures / PUBLISHED_BATCH)
        why = f'{rate:g} is for {PUBLISHED_BATCH} pictures an update; times the square root of {pictures} / '
        why += f'{PUBLISHED_BATCH}, as suits Adam'
    else:
        learning_rate, why = plan.learning_rate, f'the published config has {rate:g} for {PUBLISHED_BATCH} pictures'
    iterations = plan.iterations or max(_FEWEST, 100 * math.ceil(_PASSES * data.pairs.count / plan.batch / 100))
    # gradients that are added up without an update would be lost at the end
    iterations = plan.accumulate * math.ceil(iterations / plan.accumulate)
    passes = iterations * plan.batch / data.pairs.count
    interval = max(1, iterations // 10)
    accumulate = f', accumulative_counts={plan.accumulate}' if plan.accumulate > 1 else ''
    lines = [
        f'# {why}',
        f'optim_wrapper = dict(optimizer=dict(lr={learning_rate:.3g}){accumulate})',
        f'max_iters = {iterations}  # of {plan.batch}, {passes:.3g} times the {data.pairs.count} pictures',
        'param_scheduler = _base_.param_scheduler',
        f'param_scheduler[0].end = {max(1, min(_WARM_UP, iterations // 10))} + 1  # warm-up',
        'param_scheduler[1].end = max_iters + 1',
        f'train_cfg = dict(max_iters=max_iters, val_interval={interval})',
        f"default_hooks = dict(checkpoint=dict(interval={interval}, save_best='mIoU'))",
    ]
    if published.val_evaluator.iou_metrics != ['mIoU']:
        lines += ["val_evaluator = dict(iou_metrics=['mIoU'])", 'test_evaluator = val_evaluator']
    if published.test_cfg.type != 'TestLoop':
        lines.append("test_cfg = dict(type='TestLoop')  # --tta averages over several scales")
    return lines
