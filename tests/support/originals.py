"""What every package has to have in common with its original, checked in one way for all.

Each function takes the package's :class:`Reference`; a package's tests call them for its configs and cases.
"""

import inspect
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.structures import PixelData
from mmseg.registry import DATASETS
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from support.old_configs import mask2former_head, mask2former_training, single_scale_pipeline, transforms
from support.reference import TOLERANCES, Reference, build, deviations, metas, new_names
from support.strategies import check_blocks
from support.synthetic import synthetic_image, synthetic_labels


def check_state_dict(reference: Reference, name: str) -> None:
    """Keys, shapes and types are the original's, and their number of parameters; every block is sharded by itself."""
    model = build(reference.config(name), device='meta')
    check_blocks(model)
    ours = {key: (list(value.shape), str(value.dtype)) for key, value in model.state_dict().items()}
    original = reference.of_config('manifests', name)
    renamed = new_names([key for key, _, _ in original['keys']])
    assert ours == {renamed[key]: (shape, f'torch.{dtype}') for key, shape, dtype in original['keys']}
    assert sum(parameter.numel() for parameter in model.parameters()) == original['num_params']


def check_strict_loading(reference: Reference, name: str, without: str = 'backbone.level_embed') -> None:
    """A checkpoint of the original loads; without one of its keys it does not. Values are for other checks."""
    originals = reference.of_config('manifests', name)['keys']
    checkpoint = {key: torch.empty(shape, device='meta') for key, shape, _ in originals}
    model = build(reference.config(name), device='meta')
    model.load_state_dict(checkpoint, strict=True)
    checkpoint.pop(without)
    with pytest.raises(RuntimeError, match=rf'Missing key\(s\) in state_dict: "{without}"'):
        model.load_state_dict(checkpoint, strict=True)


def check_forward(reference: Reference, case: dict, dtype: torch.dtype) -> None:
    """Features, heads' outputs and scores are the original's."""
    image = torch.from_numpy(synthetic_image(**case['input'])).to(dtype)
    with torch.no_grad():
        found = deviations(_outputs(reference.model(case, dtype), image, case['outputs']), case['outputs'])
    assert max(found.values()) < TOLERANCES[dtype], found


def _outputs(model: nn.Module, image: Tensor, wanted: Iterable[str]) -> dict[str, Tensor]:
    features = model.extract_feat(image)
    outputs = {f'backbone.{level}': feature for level, feature in enumerate(features)}
    if 'cls_pred' in wanted:  # Mask2Former's
        outputs['decode_head'] = model.decode_head.quarter_scores(features)
        outputs['cls_pred'], outputs['mask_pred'] = (predictions[-1] for predictions in model.decode_head(features))
    else:
        outputs['decode_head'] = model.decode_head(features)
    if 'auxiliary_head' in wanted:
        outputs['auxiliary_head'] = model.auxiliary_head(features)
    outputs['encode_decode'] = model.encode_decode(image, metas(image))
    if 'slide_inference' in wanted:
        outputs['slide_inference'] = model.inference(image, metas(image))
    return outputs


def train_step(
    reference: Reference,
    case: dict,
    dtype: torch.dtype,
    image: Tensor | None = None,
    labels: Tensor | None = None,
) -> tuple[nn.Module, dict[str, Tensor]]:
    """Return a model after the forward and backward of one training step, and its losses.

    Args:
        reference: of the package.
        case: what the original computed.
        dtype: of the weights and the images.
        image: ``[N, 3, H, W]``; that of the case if None.
        labels: ``[N, H, W]``; those of the case if None.
    """
    size = {key: case['input'][key] for key in ('seed', 'height', 'width', 'batch')}
    if image is None:
        image = torch.from_numpy(synthetic_image(**size)).to(dtype)
    samples = []
    for label in torch.from_numpy(synthetic_labels(**case['input'])) if labels is None else labels:
        sample = SegDataSample()
        sample.gt_sem_seg = PixelData(data=label[None])
        samples.append(sample)
    model = reference.model(case, dtype).train()
    torch.manual_seed(0)  # right before the losses, as for the original: Mask2Former's are of random points
    loss, losses = model.parse_losses(model.loss(image, samples))
    loss.backward()
    return model, losses


def check_optimizer(reference: Reference, name: str) -> None:
    """Every parameter has the learning rate and the weight decay that it has in the original."""
    config = reference.config(name)
    model = build(config, device='meta')
    optimizer = build_optim_wrapper(model, config.optim_wrapper).optimizer
    original = reference.of_config('optim', name)

    assert type(optimizer).__name__ == original['type']
    settings = {
        id(parameter): (group['lr'], group['weight_decay'])
        for group in optimizer.param_groups
        for parameter in group['params']
    }
    ours = {key: settings.pop(id(parameter)) for key, parameter in model.named_parameters()}
    assert not settings
    renamed = new_names([key for key, _, _ in original['groups']])
    assert ours == {renamed[key]: (pytest.approx(lr, rel=1e-12), decay) for key, lr, decay in original['groups']}
    for group in optimizer.param_groups:
        assert list(group['betas']) == original['betas']
        assert group['eps'] == original['eps']
    assert all(parameter.requires_grad for parameter in model.parameters()) and not original.get('frozen')


def check_learning_rates(reference: Reference, names: list[str]) -> None:
    """The learning rate in every iteration at which the original's is known; the configs share their schedule."""
    configs = [reference.config(name) for name in names]
    assert all(config.param_scheduler == configs[0].param_scheduler for config in configs)
    rates = [config.optim_wrapper.optimizer.lr for config in configs]
    originals = [
        _learning_rates(reference.of_config('optim', name), rate) for name, rate in zip(names, rates, strict=True)
    ]
    # one optimizer with a parameter per config steps through all iterations
    optimizer = torch.optim.AdamW([{'params': nn.Parameter(torch.zeros(1)), 'lr': rate} for rate in rates])
    schedulers = [PARAM_SCHEDULERS.build({**entry, 'optimizer': optimizer}) for entry in configs[0].param_scheduler]
    for iteration in range(max(max(original) for original in originals) + 1):
        for group, original in zip(optimizer.param_groups, originals, strict=True):
            if iteration in original:
                assert group['lr'] == pytest.approx(original.pop(iteration), rel=1e-10), iteration
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    assert not any(originals)


def _learning_rates(original: dict, rate: float) -> dict[int, float]:
    """Return an original's learning rates by iteration, which are stored as such or as factors of the base rate."""
    if 'lr_at' in original:
        return {int(iteration): value for iteration, value in original['lr_at']['values'].items()}
    return {iteration: rate * factor for iteration, factor in original['lr_factor_at_iter']}


def plain(value: Any) -> Any:
    """Return ``value`` with tuples as lists and all mappings as dictionaries."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    return [plain(entry) for entry in value] if isinstance(value, list | tuple) else value


def check_plain_vit_model(ours: Config, original: dict) -> None:
    """The model of a config over a plain ViT is the original's."""
    expected = original['model']
    expected['type'] = 'CheckedEncoderDecoder'
    # the originals list one value per block, all the same
    for key in ('window_attn', 'window_size'):
        (expected['backbone'][key],) = set(expected['backbone'][key])
    model = plain(ours.model)
    model.pop('data_preprocessor')
    assert model == expected


def check_mask2former_model(ours: Config, original: dict) -> None:
    """The model of a config with Mask2Former is the original's, in MMDetection 3's words."""
    expected = original['model']
    expected['type'] = 'CheckedEncoderDecoder'
    expected['decode_head'] = mask2former_head(expected['decode_head'])
    expected['train_cfg'] = mask2former_training(expected['train_cfg'])
    # the rest is for panoptic and instance segmentation
    expected['test_cfg'] = {key: expected['test_cfg'][key] for key in ('mode', 'crop_size', 'stride')}
    assert expected.pop('init_cfg') is None
    model = plain(ours.model)
    model.pop('data_preprocessor')
    assert model == expected


def check_normalization(ours: Config, original: dict) -> None:
    """Mean, deviation and padding; padding came after the normalization, as MMSegmentation 1.x always does it."""
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


def check_pipelines(ours: Config, original: dict) -> None:
    """Training transforms pictures as the original does, and testing too, on one scale."""
    old = transforms(original['train_pipeline'])
    old.pop('ToMask', None)  # what it does is done by the head
    kept = ['LoadImageFromFile', 'LoadAnnotations', 'Resize', 'RandomCrop', 'RandomFlip', 'PhotoMetricDistortion']
    assert list(old) == [*kept, 'Normalize', 'Pad', 'DefaultFormatBundle', 'Collect']
    expected = [{'type': name, **old[name]} for name in kept]
    expected[1] = {'type': 'LoadAnnotations'}  # the data set knows whether label 0 is a class
    expected[2] = {'type': 'RandomResize', 'scale': old['Resize'].pop('img_scale'), **old['Resize'], 'keep_ratio': True}
    assert plain(ours.train_dataloader.dataset.pipeline) == [*expected, {'type': 'PackSegInputs'}]

    expected = plain(single_scale_pipeline(original['test_pipeline']))
    for pipeline in (ours.test_pipeline, ours.val_dataloader.dataset.pipeline, ours.test_dataloader.dataset.pipeline):
        assert plain(pipeline) == expected


def check_data(ours: Config, original: dict) -> None:
    """Data sets, their folders, batch and workers are the original's."""
    old = original['data']
    assert ours.train_dataloader.batch_size == old['samples_per_gpu']
    assert ours.train_dataloader.num_workers == old['workers_per_gpu']
    reduced = transforms(original['train_pipeline'])['LoadAnnotations'].get('reduce_zero_label', False)
    loaders = {'train': ours.train_dataloader, 'val': ours.val_dataloader, 'test': ours.test_dataloader}
    for part, loader in loaders.items():
        dataset = loader.dataset
        prefix = dataset.data_prefix
        assert (dataset.type, dataset.data_root) == (old[part]['type'], old[part]['data_root'])
        assert (prefix.img_path, prefix.seg_map_path) == (old[part]['img_dir'], old[part]['ann_dir'])
        default = inspect.signature(DATASETS.get(dataset.type).__init__).parameters.get('reduce_zero_label')
        assert dataset.get('reduce_zero_label', default is not None and default.default) == reduced


def check_schedule(ours: Config, original: dict) -> None:
    """Iterations, evaluation, checkpoints and runtime are the original's; learning rates are compared as numbers."""
    assert ours.train_cfg.max_iters == original['runner']['max_iters']
    assert ours.train_cfg.val_interval == original['evaluation']['interval']
    hooks = ours.default_hooks
    old = {**original['checkpoint_config'], 'save_best': original['evaluation']['save_best']}
    assert plain(hooks.checkpoint) == {'type': 'SafeCheckpointHook', **old}
    assert hooks.logger.interval == original['log_config']['interval']
    assert ours.val_evaluator.iou_metrics == [original['evaluation']['metric']]
    # no clipping of gradients
    assert original['optimizer_config'] == {} and 'clip_grad' not in ours.optim_wrapper
    assert ours.env_cfg.cudnn_benchmark == original['cudnn_benchmark']
    assert ours.env_cfg.dist_cfg.backend == original['dist_params']['backend']
    assert (ours.log_level, ours.load_from) == (original['log_level'], original['load_from'])
