"""The tables of ``.github/docs/migrating.md``: options, settings and types of the originals, and what they are here."""

from __future__ import annotations

from collections.abc import Iterable

# (type in the originals' configs, types here, what else there is to know); a type without a prefix is in mmseg's scope
TYPES: list[tuple[str, tuple[str, ...], str]] = [
    ('EncoderDecoder', ('CheckedEncoderDecoder',), "MMSegmentation's, which stays, and checks of checkpoints"),
    ('EncoderDecoderMask2Former', ('CheckedEncoderDecoder',), ''),
    ('EncoderDecoderMask2FormerAug', ('CheckedEncoderDecoder',), 'padding is cut off for every model'),
    ('ViTAdapter', ('ViTAdapter',), ''),
    ('BEiTAdapter', ('BEiTAdapter',), ''),
    ('UniPerceiverAdapter', ('UniPerceiverAdapter',), ''),
    ('ViTBaseline', ('ViTBaseline',), ''),
    ('BEiTBaseline', ('BEiTBaseline',), ''),
    ('ViTCoMer', ('ViTCoMer',), ''),
    ('ViTCoMer_beit', ('ViTCoMer_beit',), 'the class is `ViTCoMerBEiT`'),
    ('InternImage', ('InternImage',), "`core_op='DCNv3_pytorch'` is not needed: a CPU runs `'DCNv3'`"),
    ('Mask2FormerHead', ('SemanticMask2FormerHead',), '`num_classes` for `num_things_classes` and `num_stuff_classes`'),
    ('MSDeformAttnPixelDecoder', ('mmdet.MSDeformAttnPixelDecoder',), ''),
    (
        'MaskHungarianAssigner',
        ('mmdet.HungarianAssigner',),
        '`match_costs=[...]` for `cls_cost`, `mask_cost`, `dice_cost`',
    ),
    ('ClassificationCost', ('mmdet.ClassificationCost',), ''),
    ('CrossEntropyLossCost', ('mmdet.CrossEntropyLossCost',), ''),
    ('DiceCost', ('mmdet.DiceCost',), ''),
    ('MaskPseudoSampler', ('mmdet.MaskPseudoSampler',), ''),
    ('DiceLoss', ('mmdet.DiceLoss',), "in Mask2Former, as `CrossEntropyLoss`; UPerNet's losses stay mmseg's"),
    ('LayerDecayOptimizerConstructor', ('LayerIdDecayOptimizerConstructor',), 'the same `paramwise_cfg`'),
    ('CustomLayerDecayOptimizerConstructor', ('CustomLayerDecayOptimizerConstructor',), ''),
    ('MapillaryHack', ('MapillaryHack',), ''),
    ('MapillaryDataset', ('MapillaryDataset',), ''),
    ('NYUDepthV2Dataset', ('NYUDepthV2Dataset',), ''),
    ('SETR_Resize', ('SETR_Resize',), '`scale` for `img_scale`'),
    ('ResizeToMultiple', ('ResizeToMultiple',), ''),
    ('PadShortSide', ('PadShortSide',), ''),
    ('Resize', ('RandomResize', 'Resize'), '`scale` for `img_scale`; with `ratio_range` it is `RandomResize`'),
    ('MultiScaleFlipAug', ('TestTimeAug',), 'in `tta_pipeline`'),
    ('Normalize', ('SegDataPreProcessor',), '`mean`, `std`, `bgr_to_rgb`; in the model, not in the pipeline'),
    ('Pad', ('SegDataPreProcessor',), '`size`, `pad_val`, `seg_pad_val`'),
    ('DefaultFormatBundle', ('PackSegInputs',), ''),
    ('Collect', ('PackSegInputs',), ''),
    ('ImageToTensor', ('PackSegInputs',), ''),
    ('ToMask', (), 'the head makes masks of label maps'),
    ('IterBasedRunner', ('IterBasedTrainLoop',), 'in `train_cfg`, with `max_iters`'),
    ('TextLoggerHook', ('LoggerHook',), ''),
    ('TensorboardLoggerHook', ('TensorboardVisBackend',), 'in `vis_backends`'),
]


def options_table() -> str:
    """Return the options of the originals' train.py and test.py that are gone."""
    from shared_ops.openmmlab.cli.old_style import OPTIONS

    rows = [(command, f'`{old}`', _code(new)) for command in OPTIONS for old, new in OPTIONS[command].items()]
    return _table(('command', 'original', 'here'), rows)


def settings_table() -> str:
    """Return the settings at the top of the originals' configs that are gone."""
    from shared_ops.openmmlab.cli.old_style import SETTINGS

    return _table(('original', 'here'), [(f'`{old}`', new) for old, new in SETTINGS.items()])


def types_table() -> str:
    """Return the types of the originals' configs.

    Raises:
        SystemExit: one of ours is not registered.
    """
    registered = _registered()
    unknown = sorted({new for _, types, _ in TYPES for new in types} - registered)
    if unknown:
        raise SystemExit(f'migration_tables.py names types that nobody registers: {unknown}')
    rows = [(f'`{old}`', ', '.join(f'`{new}`' for new in types) or 'none', note) for old, types, note in TYPES]
    return _table(('original', 'here', ''), rows)


def _registered() -> set[str]:
    """Return all types that mmseg's scope and mmdet's know."""
    import internimage  # noqa: F401 (first: they prepare OpenMMLab's packages)
    import vit_adapter  # noqa: F401
    import vit_comer  # noqa: F401

    import mmdet.registry
    import mmengine.registry
    import mmseg.registry
    from mmdet.utils import register_all_modules as register_mmdet
    from mmseg.utils import register_all_modules

    import shared_ops.openmmlab.mask2former  # noqa: F401

    register_all_modules()
    register_mmdet(init_default_scope=False)
    found = set()
    for prefix, module in (('', mmengine.registry), ('', mmseg.registry), ('mmdet.', mmdet.registry)):
        for registry in vars(module).values():
            if isinstance(registry, mmengine.registry.Registry):
                found |= {prefix + name for name in registry.module_dict}
    return found


def _code(text: str) -> str:
    return f'`{text}`' if text.startswith('--') else text


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [' | '.join(row) for row in (head, ('---',) * len(head), *rows)]
    return '\n'.join(f'| {line} |' for line in lines)
