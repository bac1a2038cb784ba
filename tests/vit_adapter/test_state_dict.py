import pytest
import torch

from support.reference import Reference, build, metas, new_names
from support.strategies import check_blocks

REFERENCE = Reference('vit_adapter')


@pytest.fixture(scope='class', params=REFERENCE.config_names())
def model(request):
    """Return a config, its model without values, and what the original says of its state dict."""
    config = REFERENCE.config(request.param)
    return config, build(config, device='meta'), REFERENCE.of_config('manifests', request.param)


class TestEveryConfig:
    def test_keys_and_shapes_are_the_originals(self, model):
        _, ours, manifest = model
        found = {key: (list(value.shape), str(value.dtype)) for key, value in ours.state_dict().items()}
        names = new_names([key for key, *_ in manifest['keys']])
        assert found == {names[key]: (shape, f'torch.{dtype}') for key, shape, dtype in manifest['keys']}

    def test_number_of_parameters(self, model):
        _, ours, manifest = model
        assert sum(parameter.numel() for parameter in ours.parameters()) == manifest['num_params']

    def test_blocks_are_sharded_one_by_one(self, model):
        check_blocks(model[1])

    def test_loads_strictly(self, model):
        # without values, which are loaded for the forward cases
        _, ours, manifest = model
        originals = manifest['keys']
        checkpoint = {
            key: torch.empty(shape, dtype=getattr(torch, dtype), device='meta') for key, shape, dtype in originals
        }
        ours.load_state_dict(checkpoint, strict=True)
        missing = next(key for key in checkpoint if key.endswith('.weight'))
        checkpoint.pop(missing)
        with pytest.raises(RuntimeError, match=rf'Missing key\(s\) in state_dict: "{missing}"'):
            ours.load_state_dict(checkpoint, strict=True)

    def test_scores_have_the_size_of_the_crop(self, model):
        config, ours, _ = model
        crop = torch.empty(1, 3, *config.model.test_cfg.crop_size, device='meta')
        with torch.no_grad():
            scores = ours.eval().encode_decode(crop, metas(crop))
        assert scores.shape == (1, config.model.decode_head.num_classes, *config.crop_size)
