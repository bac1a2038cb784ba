"""Mask2Former over BEiT: the config whose class was never published, and a small model made from it.

Its keys and learning rates have no original. Those of the trunk and the head are ViT-Adapter's with the same trunk and
head (reference/vit_adapter), those of the interactions are ViT-CoMer's with a smaller trunk.
"""

import json
from pathlib import Path

import vit_comer

import pytest
import torch
from mmengine.config import Config
from mmengine.optim import build_optim_wrapper

from support.reference import Reference, build, metas, new_names
from support.tiny import run_command
from support.tiny_mask2former import write_mask2former_config

REFERENCE = Reference('vit_comer')
(NAME,) = REFERENCE.config_names('coco_stuff164k')
OF_TRUNK_AND_HEAD = ('backbone.cls_token', 'backbone.patch_embed.', 'backbone.blocks.', 'decode_head.')
# of ViT-CoMer on DeiT-T, and of this one
SMALL_DIM, DIM = 192, 1024
HIDDEN_RATIO = 6  # of both


def trunk_and_head(entries: list) -> dict[str, list]:
    """Return what ViT-Adapter's reference says of the parts that are the same, by our names."""
    names = new_names([key for key, *_ in entries])
    return {names[key]: rest for key, *rest in entries if key.startswith(OF_TRUNK_AND_HEAD)}


@pytest.fixture(scope='module')
def model():
    return build(REFERENCE.config(NAME), device='meta').eval()


class TestConfig:
    def test_keys_are_those_of_the_halves(self, model) -> None:
        same = trunk_and_head(REFERENCE.json('vit_adapter/manifest.json.gz')['keys'])
        (comer,) = [name for name in REFERENCE.config_names('ade20k') if '_tiny_' in name]
        beside = {
            key: (shape, dtype)
            for key, shape, dtype in REFERENCE.of_config('manifests', comer)['keys']
            if not key.startswith(('backbone.pos_embed', 'auxiliary_head.', *OF_TRUNK_AND_HEAD))
        }
        ours = {key: (list(value.shape), str(value.dtype)) for key, value in model.state_dict().items()}
        assert ours.keys() == same.keys() | beside.keys() and not same.keys() & beside.keys()
        for key, (shape, dtype) in same.items():
            assert ours[key] == (shape, f'torch.{dtype}'), key
        # sizes that come from the heads and points of the deformable attentions, or from deform_ratio
        special = ('sampling_offsets', 'attention_weights', 'value_proj', 'output_proj')
        scaled = {
            SMALL_DIM: DIM,
            SMALL_DIM // 4: DIM // 4,
            SMALL_DIM * HIDDEN_RATIO: DIM * HIDDEN_RATIO,
            SMALL_DIM * HIDDEN_RATIO // 2: DIM * HIDDEN_RATIO // 2,
        }
        for key, (shape, dtype) in beside.items():
            ours_shape, ours_dtype = ours[key]
            assert (len(ours_shape), ours_dtype) == (len(shape), f'torch.{dtype}'), key
            if not any(name in key for name in special):
                assert ours_shape == [scaled.get(size, size) for size in shape], key

    def test_number_of_parameters_is_the_published_one(self, model) -> None:
        count = sum(parameter.numel() for parameter in model.parameters())
        assert count == 633_586_156
        assert f'{count / 1e6:.1f}' == '633.6'  # segmentation/README.md of the original

    def test_learning_rate_and_weight_decay_of_every_parameter(self, model) -> None:
        config = REFERENCE.config(NAME)
        optimizer = build_optim_wrapper(model, config.optim_wrapper).optimizer
        old = REFERENCE.of_config('configs', NAME)['optimizer']
        assert type(optimizer).__name__ == old['type']
        reference = REFERENCE.json('vit_adapter/optim.json.gz')
        same = trunk_and_head(reference['groups'])
        groups = {id(parameter): group for group in optimizer.param_groups for parameter in group['params']}
        for key, parameter in model.named_parameters():
            group = groups.pop(id(parameter))
            decay = 0.0 if parameter.dim() == 1 or key.endswith('.bias') else old['weight_decay']
            lr, weight_decay = same.pop(key, (old['lr'], decay))
            assert (group['lr'], group['weight_decay']) == (pytest.approx(lr, rel=1e-12), weight_decay), key
            assert list(group['betas']) == old['betas']
        assert not groups and not same

    def test_schedule_is_that_of_the_other_configs(self) -> None:
        """The learning rates of 160,000 iterations are compared with the original's; here 80,000 are counted."""
        ours, other = (REFERENCE.config(name) for name in (NAME, REFERENCE.config_names('ade20k')[0]))
        poly = other.param_scheduler[1]
        assert poly.pop('end') == 160001 and ours.param_scheduler[1].pop('end') == 80001
        assert ours.param_scheduler == other.param_scheduler
        old, other_old = (
            REFERENCE.of_config('configs', name)['lr_config'] for name in (NAME, REFERENCE.config_names('ade20k')[0])
        )
        assert old == other_old

    def test_scores_have_the_size_of_the_crop(self, model) -> None:
        crop = torch.empty(1, 3, 896, 896, device='meta')
        with torch.no_grad():
            assert model.encode_decode(crop, metas(crop)).shape == (1, 171, 896, 896)

    def test_nothing_of_vit_adapter_is_named(self) -> None:
        config = REFERENCE.config(NAME)
        assert config.custom_imports.imports == ['vit_comer', 'shared_ops.openmmlab.mask2former']
        assert 'dapter' not in json.dumps(config.to_dict(), default=str)


def test_training_and_testing(tmp_path: Path) -> None:
    config = write_mask2former_config(tmp_path / 'small.py', vit_comer.CONFIG_DIR / NAME)
    assert Config.fromfile(config).model.backbone.type == 'ViTCoMer_beit'

    def run(*arguments: object) -> None:
        options = ('--cfg-options', 'model.backbone.dim_ratio=1.0', 'train_cfg.max_iters=12')
        env = {'OMP_NUM_THREADS': '1'}
        result = run_command(*arguments, *options, cwd=tmp_path, env=env, package='vit_comer')
        assert result.returncode == 0, result.stdout + result.stderr

    run('train', config, '--work-dir', 'work')
    (file,) = (tmp_path / 'work').glob('*/vis_data/scalars.json')
    entries = [json.loads(line) for line in file.read_text().splitlines()]
    losses = [entry['loss'] for entry in entries if 'loss' in entry]
    assert len(losses) == 12
    assert sum(losses[-3:]) < 0.95 * sum(losses[:3]), losses

    run('test', config, 'work/iter_12.pth', '--work-dir', 'tested')
    (result,) = (tmp_path / 'tested').glob('*/*.json')
    assert 0 < json.loads(result.read_text())['mIoU'] <= 100
