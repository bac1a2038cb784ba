"""What an original config, written for MMSegmentation 0.x and mmdet 2, says in the words of 1.x and 3."""

from support.reference import new_schema

# Said by the originals, and the only thing that the layers of mmdet 3 do.
FIXED = {
    'pixel_decoder.encoder.type': 'DetrTransformerEncoder',
    'pixel_decoder.encoder.init_cfg': None,
    'pixel_decoder.encoder.transformerlayers.type': 'BaseTransformerLayer',
    'pixel_decoder.encoder.transformerlayers.operation_order': ['self_attn', 'norm', 'ffn', 'norm'],
    'pixel_decoder.encoder.transformerlayers.attn_cfgs.type': 'MultiScaleDeformableAttention',
    'pixel_decoder.encoder.transformerlayers.attn_cfgs.im2col_step': 64,
    'pixel_decoder.encoder.transformerlayers.attn_cfgs.batch_first': False,
    'pixel_decoder.encoder.transformerlayers.attn_cfgs.norm_cfg': None,
    'pixel_decoder.encoder.transformerlayers.attn_cfgs.init_cfg': None,
    'pixel_decoder.encoder.transformerlayers.ffn_cfgs.type': 'FFN',
    'pixel_decoder.positional_encoding.type': 'SinePositionalEncoding',
    'pixel_decoder.init_cfg': None,
    'positional_encoding.type': 'SinePositionalEncoding',
    'transformer_decoder.type': 'DetrTransformerDecoder',
    'transformer_decoder.init_cfg': None,
    'transformer_decoder.transformerlayers.type': 'DetrTransformerDecoderLayer',
    'transformer_decoder.transformerlayers.operation_order': [
        'cross_attn', 'norm', 'self_attn', 'norm', 'ffn', 'norm',
    ],
    'transformer_decoder.transformerlayers.attn_cfgs.type': 'MultiheadAttention',
    'transformer_decoder.transformerlayers.attn_cfgs.batch_first': False,
    'transformer_decoder.transformerlayers.attn_cfgs.dropout_layer': None,
    'transformer_decoder.transformerlayers.ffn_cfgs.dropout_layer': None,
    'transformer_decoder.transformerlayers.ffn_cfgs.add_identity': True,
    'in_index': [0, 1, 2, 3],
}  # fmt: skip


def transforms(pipeline):
    """Return the transforms of an original pipeline by type, those inside its test augmentation included."""
    found = {}
    for transform in pipeline:
        arguments = dict(transform)
        found.update(transforms(arguments.pop('transforms', [])))
        found[arguments.pop('type')] = arguments
    return found


def mask2former_head(old):
    """Return an original head in mmdet 3's words."""
    flat = _flat(old)
    for key, value in FIXED.items():
        assert flat.pop(key) == value, key
    classes = flat.pop('num_things_classes') + flat.pop('num_stuff_classes')
    classes = flat.pop('num_classes', classes)  # where both are there, the original's head takes this one
    flat['pixel_decoder.type'] = 'mmdet.' + flat['pixel_decoder.type']
    for loss in ('loss_cls', 'loss_mask', 'loss_dice'):
        flat[f'{loss}.type'] = 'mmdet.' + flat[f'{loss}.type']
    renamed = new_schema({f'.{key}': value for key, value in flat.items()})
    new = {key.removeprefix('.'): value for key, value in renamed.items()}
    new.update(num_classes=classes, type='SemanticMask2FormerHead')
    for part in ('pixel_decoder.encoder', 'transformer_decoder'):
        new.setdefault(f'{part}.layer_cfg.ffn_cfg.with_cp', False)
    return _nested(new)


def mask2former_training(old):
    """Return the original settings of point sampling and matching in mmdet 3's words."""
    assigner = dict(old['assigner'])
    assert assigner.pop('type') == 'MaskHungarianAssigner'
    costs = [assigner.pop(f'{name}_cost') for name in ('cls', 'mask', 'dice')]
    assert not assigner
    return {
        **old,
        'assigner': {'type': 'mmdet.HungarianAssigner', 'match_costs': [_of_mmdet(cost) for cost in costs]},
        'sampler': _of_mmdet(old['sampler']),
    }


def single_scale_pipeline(old):
    """Return an original test pipeline for its only scale, without its mirror image."""
    load, augment = old
    assert 'img_ratios' not in augment
    steps = [transform[0] for transform in _steps(augment['transforms'], [tuple(augment['img_scale'])], flip=False)]
    return [load, *steps, {'type': 'LoadAnnotations'}, {'type': 'PackSegInputs'}]


def multi_scale_pipeline(old):
    """Return an original test pipeline with all its views."""
    load, augment = old
    width, height = augment['img_scale']
    scales = [(int(width * ratio), int(height * ratio)) for ratio in augment.get('img_ratios', [1.0])]
    steps = _steps(augment['transforms'], scales, flip=augment['flip'])
    pack = {'type': 'PackSegInputs'}
    if any(step[0]['type'] == 'PadShortSide' for step in steps):
        pack['meta_keys'] = [
            'img_path', 'seg_map_path', 'ori_shape', 'img_shape', 'pad_shape', 'scale_factor', 'flip',
            'flip_direction', 'reduce_zero_label', 'padding_size',
        ]  # fmt: skip
    return [load, {'type': 'TestTimeAug', 'transforms': [*steps, [{'type': 'LoadAnnotations'}], [pack]]}]


def padded_to(old):
    """Return the (height, width) to which an original test pipeline fills up after the normalization, or None."""
    names = [transform['type'] for transform in old[1]['transforms']]
    if 'PadShortSide' not in names or names.index('PadShortSide') < names.index('Normalize'):
        return None
    return [transforms(old)['PadShortSide']['size']] * 2


def _steps(old, scales, flip):
    """Return the alternatives of every step of a test pipeline."""
    steps = []
    normalized = False
    for transform in old:
        arguments = dict(transform)
        kind = arguments.pop('type')
        if kind == 'Resize':
            steps.append([{'type': kind, 'scale': scale, **arguments} for scale in scales])
        elif kind == 'SETR_Resize':
            assert arguments.pop('keep_ratio') and arguments.pop('setr_multi_scale')
            steps.append([{'type': kind, 'scale': scale, **arguments} for scale in scales])
        elif kind == 'RandomFlip' and flip:
            steps.append([{'type': kind, 'prob': prob, 'direction': 'horizontal'} for prob in (0.0, 1.0)])
        elif kind == 'Normalize':
            normalized = True
        elif kind == 'PadShortSide' and not normalized:
            assert (arguments['pad_val'], arguments['seg_pad_val']) == (0, 255)
            steps.append([{'type': kind, 'size': arguments['size']}])
        elif kind == 'ResizeToMultiple':
            steps.append([dict(transform)])
        else:
            assert kind in ('RandomFlip', 'PadShortSide', 'ImageToTensor', 'Collect'), kind
    return steps


def _of_mmdet(old):
    return {**old, 'type': 'mmdet.' + old['type']}


def _flat(tree, prefix=''):
    flat = {}
    for key, value in tree.items():
        flat.update(_flat(value, f'{prefix}{key}.') if isinstance(value, dict) else {f'{prefix}{key}': value})
    return flat


def _nested(flat):
    tree = {}
    for key, value in flat.items():
        *parents, leaf = key.split('.')
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[leaf] = value
    return tree
