import pytest
import torch

from support.reference import Reference, build

REFERENCE = Reference('vit_adapter')


@pytest.mark.parametrize('name', REFERENCE.config_names())
class TestEveryConfig:
    def test_keys_and_shapes_are_the_originals(self, name):
        state_dict = build(REFERENCE.config(name), device='meta').state_dict()
        ours = {key: (list(value.shape), str(value.dtype)) for key, value in state_dict.items()}
        originals = REFERENCE.of_config('manifests', name)['keys']
        assert ours == {key: (shape, f'torch.{dtype}') for key, shape, dtype in originals}

    def test_number_of_parameters(self, name):
        model = build(REFERENCE.config(name), device='meta')
        counted = sum(parameter.numel() for parameter in model.parameters())
        assert counted == REFERENCE.of_config('manifests', name)['num_params']

    def test_loads_strictly(self, name):
        # without values, which are loaded for the forward cases
        originals = REFERENCE.of_config('manifests', name)['keys']
        checkpoint = {key: torch.empty(shape, device='meta') for key, shape, _ in originals}
        model = build(REFERENCE.config(name), device='meta')
        model.load_state_dict(checkpoint, strict=True)
        checkpoint.pop('backbone.level_embed')
        with pytest.raises(RuntimeError, match=r'Missing key\(s\) in state_dict: "backbone.level_embed"'):
            model.load_state_dict(checkpoint, strict=True)


def test_there_are_seven_configs():
    assert len(REFERENCE.config_names()) == 7
