"""The config that trains a published model on other data: what differs, in lines that a user would write."""

from __future__ import annotations

import math
import pprint
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from .classes import ClassList
from .folders import Pairs

# Pictures in a training step of the published models, all GPUs together, for which the learning rates were chosen.
PUBLISHED_BATCH = 16
# Without --iterations: so many times every picture, and no fewer steps than this, rounded up to whole hundreds.
_PASSES, _FEWEST = 200, 1000
_WARM_UP = 1500


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
        raise ValueError(
            'batch is 1, but UPerNet normalises the mean of whole pictures over the batch, which takes 2 of them; '
            'say batch 2, or write 1 into the config if you train on several GPUs'
        )
    parts = [
        f'# {base.stem} of {package}, for other data',
        f'_base_ = {_base_expression(package, base, folder)}',
        '',
        *_class_lines(data.classes),
        f'crop_size = {crop}  # height, width',
        '',
        *_model_lines(published, crop, weights),
        '',
        *_pipeline_lines(published, _scale(published, crop, plan.short_side), data),
        '',
        *_data_lines(data, plan),
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
            raise ValueError(f'{name} is {number}; it has to be more than 0')
    if min(crop) < 32:
        raise ValueError(f'crop is {crop[0]} x {crop[1]} pixels; the models see patches of 32 and need at least one')


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
    if len(text) <= 110:
        return [text]
    inner = pprint.pformat(value, width=106, compact=True)[1:-1].splitlines()
    return [f'{name} = [', *(f'    {line.strip()}' for line in inner), ']']


def _model_lines(published: Config, crop: tuple[int, int], weights: Weights) -> list[str]:
    model = published.model
    lines = ['model = dict(']
    if weights.checkpoint or weights.random:
        lines += ['    pretrained=None,'] if model.get('pretrained') else []
        lines += ['    backbone=dict(init_cfg=None),'] if model.backbone.get('init_cfg') else []
    test_size = ', test_cfg=dict(size=crop_size)' if model.data_preprocessor.get('test_cfg') else ''
    lines.append(f'    data_preprocessor=dict(size=crop_size{test_size}),')
    loss = ''
    if 'class_weight' in (model.decode_head.get('loss_cls') or {}):  # Mask2Former's; the last is "no object"
        loss = ', loss_cls=dict(class_weight=[1.0] * len(classes) + [0.1])'
    lines.append(f'    decode_head=dict(num_classes=len(classes){loss}),')
    if model.get('auxiliary_head'):
        lines.append('    auxiliary_head=dict(num_classes=len(classes)),')
    if model.test_cfg.mode == 'slide':
        # the originals let their windows overlap by a third
        stride = tuple(max(1, side * 2 // 3) for side in crop)
        lines.append(f'    test_cfg=dict(crop_size=crop_size, stride={stride}),')
    lines.append(')')
    if weights.checkpoint:
        lines.append(f'load_from = {weights.checkpoint!r}  # whatever does not fit the classes starts anew')
    elif weights.random and published.get('load_from'):
        lines.append('load_from = None')
    return lines


def _scale(published: Config, crop: tuple[int, int], short_side: int | None) -> tuple[int, int]:
    """Return the (longest, shorter) side of resized pictures, in the published config's proportion to the crop."""
    long, short = max(published.test_pipeline[1].scale), min(published.test_pipeline[1].scale)
    wanted = short_side or round(short * min(crop) / min(published.crop_size))
    return round(wanted * long / short), wanted


def _pipeline_lines(published: Config, scale: tuple[int, int], data: OwnData) -> list[str]:
    steps = [step.type for step in published.train_pipeline]
    lines = ['train_pipeline, test_pipeline = _base_.train_pipeline, _base_.test_pipeline']
    ignored = sorted(value - data.zero_is_ignored for value in data.ignored)
    ignore = f"dict(type='IgnoreLabels', labels={ignored})"
    if 'MapillaryHack' in steps:
        lines.append(f'del train_pipeline[{steps.index("MapillaryHack")}]  # for Mapillary Vistas alone')
        steps.remove('MapillaryHack')
    lines += [
        f'train_pipeline[{steps.index("RandomResize")}].scale = {scale}  # longest, shorter side',
        f'train_pipeline[{steps.index("RandomCrop")}].crop_size = crop_size',
        f'test_pipeline[1].scale = {scale}',
    ]
    if ignored:
        lines += [
            f'train_pipeline.insert({steps.index("LoadAnnotations") + 1}, {ignore})',
            f'test_pipeline.insert(-1, {ignore})',
        ]
    resized = scale != tuple(published.test_pipeline[1].scale)
    if resized or ignored:
        lines.append('tta_pipeline = _base_.tta_pipeline')
    if resized:
        lines += [
            'tta_pipeline[1].transforms[0] = [',
            f"    dict(type='Resize', scale=(int({scale[0]} * r), int({scale[1]} * r)), keep_ratio=True)",
            '    for r in (0.5, 0.75, 1.0, 1.25, 1.5, 1.75)]',
        ]
    if ignored:
        lines.append(f'tta_pipeline[1].transforms.insert(-1, [{ignore}])')
    return lines


def _data_lines(data: OwnData, plan: Plan) -> list[str]:
    zero = ', reduce_zero_label=True' if data.zero_is_ignored else ''
    suffixes = f'img_suffix={data.pairs.img_suffix!r}, seg_map_suffix={data.pairs.seg_map_suffix!r}'
    lines = [
        'own = dict(',
        f"    _delete_=True, type='BaseSegDataset', data_root={data.root!r}, {suffixes}{zero},",
        '    metainfo=dict(classes=classes, palette=palette))',
    ]
    batches = {'train': f'batch_size={plan.batch}, ', 'val': ''}
    for split, (pictures, label_maps) in {'train': data.train, 'val': data.val}.items():
        prefix = f'data_prefix=dict(img_path={pictures!r}, seg_map_path={label_maps!r})'
        pipeline = 'train_pipeline' if split == 'train' else 'test_pipeline'
        lines += [
            f'{split}_dataloader = dict({batches[split]}dataset=dict(',
            f'    {prefix}, pipeline={pipeline}, **own))',
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
        f'# {iterations} iterations of {plan.batch} are {passes:.3g} times the {data.pairs.count} pictures',
        f'max_iters = {iterations}',
        'param_scheduler = _base_.param_scheduler',
        f'param_scheduler[0].end = {max(1, min(_WARM_UP, iterations // 10))} + 1  # warm-up',
        'param_scheduler[1].end = max_iters + 1',
        f'train_cfg = dict(max_iters=max_iters, val_interval={interval})',
        f"default_hooks = dict(checkpoint=dict(interval={interval}, save_best='mIoU', rule='greater'))",
    ]
    if published.val_evaluator.iou_metrics != ['mIoU']:
        lines += ["val_evaluator = dict(iou_metrics=['mIoU'])", 'test_evaluator = val_evaluator']
    if published.test_cfg.type != 'TestLoop':
        lines.append("test_cfg = dict(type='TestLoop')  # --tta averages over several scales")
    return lines
