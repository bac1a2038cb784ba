"""A trunk and the pyramid beside it, with interactions that only write down what they are given."""

import pytest
import torch
from torch import nn

from shared_ops.vit import Extractor, TwoBranches, deform_inputs


class Recorder(nn.Module):
    """Counts itself into the tokens, the features and the class token."""

    def __init__(self, calls: list) -> None:
        super().__init__()
        self.calls = calls

    def forward(self, x, c, class_token, blocks, token_inputs, feature_inputs, height, width):
        self.calls.append((list(blocks), token_inputs, feature_inputs, height, width, class_token))
        return x + 1, c + 10, None if class_token is None else class_token + 100


def branches(calls: list, **changes: object) -> TwoBranches:
    arguments = {
        'embed_dim': 6, 'depth': 5, 'interaction_indexes': [[0, 0], [1, 2], [3, 3], [4, 4]], 'patch_size': 16,
        'in_chans': 3, 'conv_inplane': 2, 'add_vit_feature': True, **changes,
    }  # fmt: skip
    torch.manual_seed(0)
    number = len(arguments['interaction_indexes'])
    model = TwoBranches([Recorder(calls) for _ in range(number)], **arguments).eval()
    for norm in (model.norm1, model.norm2, model.norm3, model.norm4):
        norm.eps = 0.0  # identity, until it has seen something
    return model


@torch.no_grad()
def test_interactions_run_their_blocks_in_order() -> None:
    calls = []
    model = branches(calls)
    image, x, token = torch.randn(2, 3, 64, 96), torch.randn(2, 24, 6), torch.zeros(2, 1, 6)
    c1, c2, c3, c4 = model.run_branches(image, x, 4, 6, ['a', 'b', 'c', 'd', 'e'], token)
    assert [call[0] for call in calls] == [['a'], ['b', 'c'], ['d'], ['e']]
    assert [call[5].unique().item() for call in calls] == [0, 100, 200, 300]
    for call in calls:
        assert call[1].spatial_shapes == [(8, 12), (4, 6), (2, 3)] and call[2].spatial_shapes == [(4, 6)]
        assert call[3:5] == (4, 6)
    assert [tuple(m.shape) for m in (c1, c2, c3, c4)] == [(2, 6, 16, 24), (2, 6, 8, 12), (2, 6, 4, 6), (2, 6, 2, 3)]

    # the third map: features of stride 16 after four interactions, and the tokens after the third
    features = model.spm(image)[2] + model.level_embed[1] + 40
    expected = (features + x + 3).transpose(1, 2).reshape(2, 6, 4, 6)
    torch.testing.assert_close(c3, expected)


@torch.no_grad()
def test_without_class_token_and_trunk_features() -> None:
    calls = []
    model = branches(calls, interaction_indexes=[[0, 4]], add_vit_feature=False)
    image, x = torch.randn(1, 3, 32, 64), torch.randn(1, 8, 6)
    _, _, c3, _ = model.run_branches(image, x, 2, 4, ['a', 'b', 'c', 'd', 'e'])
    assert calls[0][0] == ['a', 'b', 'c', 'd', 'e'] and calls[0][5] is None
    expected = model.spm(image)[2] + model.level_embed[1] + 10
    torch.testing.assert_close(c3, expected.transpose(1, 2).reshape(1, 6, 2, 4))


def test_arguments_that_do_not_fit() -> None:
    with pytest.raises(ValueError, match='fit patch_size=16 and in_chans=3 only'):
        branches([], in_chans=4)
    with pytest.raises(ValueError, match='needs 4 interactions'):
        branches([], interaction_indexes=[[0, 4]])
    with pytest.raises(ValueError, match='stay below depth=5'):
        branches([], interaction_indexes=[[0, 0], [1, 2], [3, 3], [4, 5]])


def test_extractor_over_three_levels() -> None:
    """What the features of stride 8 find depends on all levels that are looked at."""
    extractor = Extractor(8, n_levels=3, num_heads=2).double()
    for parameter in extractor.parameters():
        nn.init.normal_(parameter, std=0.3)
    tokens, features = deform_inputs(4, 6, torch.device('cpu'))
    inputs = type(tokens)(features.reference_points, tokens.spatial_shapes, tokens.level_start_index)
    feat = torch.randn(1, 126, 8, dtype=torch.float64, requires_grad=True)
    extractor(torch.randn(1, 126, 8, dtype=torch.float64), feat, inputs, 4, 6)[:, :96].sum().backward()
    assert all(part.abs().sum() > 0 for part in feat.grad.split([96, 24, 6], dim=1))
