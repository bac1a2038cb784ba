"""The head against MMDetection's, whose arithmetic is that of the originals, and against plain loops."""

import copy

import pytest
import torch
import torch.distributed
import torch.nn.functional as F

from support.mask2former import (
    NUM_CLASSES,
    NUM_QUERIES,
    SIZES,
    TRAIN_CFG,
    build_head,
    features,
    head_config,
    label_maps,
    samples,
)


def mmseg_head(ours):
    """Return MMSegmentation's head, on MMDetection's own modules, with the weights of ours."""
    from mmseg.models.decode_heads import Mask2FormerHead

    config = head_config()
    config.pop('type')
    head = Mask2FormerHead(**config)
    head.load_state_dict(ours.state_dict(), strict=True)
    return head


@pytest.mark.parametrize(('dtype', 'tolerance'), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
def test_predictions_are_mmdetections(dtype, tolerance):
    ours = build_head()
    theirs = mmseg_head(ours).to(dtype)
    inputs = features(dtype=dtype)
    found, expected = ours.to(dtype)(inputs), theirs(inputs, samples(label_maps()))
    for ours_of, theirs_of, shape in zip(
        found, expected, [(2, NUM_QUERIES, NUM_CLASSES + 1), (2, NUM_QUERIES, *SIZES[0])], strict=True
    ):
        assert len(ours_of) == len(theirs_of) == 5
        for prediction, expected_prediction in zip(ours_of, theirs_of, strict=True):
            assert prediction.shape == shape and prediction.dtype == dtype
            torch.testing.assert_close(prediction, expected_prediction, rtol=0, atol=tolerance)


def test_gradients_are_mmdetections():
    ours = build_head().double()
    theirs = mmseg_head(ours).double()
    inputs = features(dtype=torch.float64)
    for head in (ours, theirs):
        cls_pred, mask_pred = head(inputs, samples(label_maps()))
        sum(prediction.square().mean() for prediction in cls_pred + mask_pred).backward()
    expected = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    for name, parameter in ours.named_parameters():
        scale = expected[name].abs().max().item()
        torch.testing.assert_close(parameter.grad, expected[name], rtol=0, atol=1e-6 * scale + 1e-12, msg=name)


def test_a_mask_that_is_nowhere_attends_everywhere(mask2former):
    mask_pred = torch.full((1, 2, 4, 6), -9.0)
    mask_pred[0, 1, :2] = 3.0
    attended = mask2former.attended_positions(mask_pred, (2, 3))
    assert attended.tolist() == [[[[True] * 6, [True] * 3 + [False] * 3]]]


class TestInference:
    def test_scores_are_combined_before_they_are_resized(self):
        head = build_head().double().eval()
        inputs = features(dtype=torch.float64)
        with torch.no_grad():
            cls_pred, mask_pred = (predictions[-1] for predictions in head(inputs))
            scores = head.quarter_scores(inputs)
            resized = head.predict(inputs, [{'img_shape': (96, 160)}], None)
        expected = torch.zeros(2, NUM_CLASSES, *SIZES[0], dtype=torch.float64)
        for image in range(2):
            for query in range(NUM_QUERIES):
                classes = cls_pred[image, query].softmax(0)[:-1]
                expected[image] += classes[:, None, None] * mask_pred[image, query].sigmoid()
        torch.testing.assert_close(scores, expected)
        expected = F.interpolate(expected, (96, 160), mode='bilinear', align_corners=False)
        torch.testing.assert_close(resized, expected)

    @pytest.mark.parametrize(
        ('meta', 'size'),
        [
            ({'img_shape': torch.Size((70, 90)), 'pad_shape': (96, 160)}, (70, 90)),
            ({'img_shape': (70, 90), 'pad_shape': (96, 160, 3)}, (96, 160)),
            ({'img_shape': (70, 90, 3)}, (70, 90)),
        ],
        ids=['crop', 'padded image', 'image'],
    )
    def test_size(self, meta, size):
        with torch.no_grad():
            assert build_head().predict(features(1), [meta], None).shape == (1, NUM_CLASSES, *size)

    @pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
    def test_half_precision(self, dtype):
        head = build_head().eval()
        inputs = features()
        with torch.no_grad():
            expected = head.quarter_scores(inputs)
            half = head.to(dtype).quarter_scores([feature.to(dtype) for feature in inputs])
        assert half.dtype == dtype
        # a query whose mask is near 0 may attend elsewhere, so single pixels differ
        assert (half.float() - expected).abs().mean() < 0.05 * expected.abs().mean()


@torch.no_grad()
def test_export_for_batches_of_any_size():
    head = build_head().eval()
    any_batch = [{0: torch.export.Dim.DYNAMIC}] * 4
    exported = torch.export.export(head, (features(2),), dynamic_shapes=(any_batch,)).module()
    three = features(3)
    assert torch.equal(exported(three)[1][-1], head(three)[1][-1])


class TestStateDict:
    @staticmethod
    def originals_names(state_dict):
        """Return the state dict as the originals wrote it."""
        renamed = {}
        for key, value in state_dict.items():
            for new, old in [
                ('.cross_attn.', '.attentions.0.'),
                ('.self_attn.', '.attentions.1.' if key.startswith('transformer_decoder') else '.attentions.0.'),
                ('.ffn.', '.ffns.0.'),
            ]:
                key = key.replace(new, old)
            renamed[key] = value
        return renamed

    @pytest.mark.parametrize('prefix', ['', 'decode_head.'])
    def test_old_names_load(self, prefix):
        state_dict = build_head().state_dict()
        old = {prefix + key: value for key, value in self.originals_names(state_dict).items()}
        assert sum('.attentions.' in key or '.ffns.' in key for key in old) == 2 * 12 + 4 * 12
        before = list(old)
        head = build_head()
        module = torch.nn.ModuleDict({'decode_head': head}) if prefix else head
        module.load_state_dict(old, strict=True)
        assert list(old) == before, "the caller's dictionary is left as it is"
        for key, value in head.state_dict().items():
            assert torch.equal(value, state_dict[key])

    def test_names_stay_mmdetections(self):
        head = build_head()
        assert head.state_dict().keys() == mmseg_head(head).state_dict().keys()

    def test_both_names_of_a_parameter(self):
        state_dict = build_head().state_dict()
        state_dict['transformer_decoder.layers.1.ffns.0.layers.1.bias'] = torch.ones(24)
        with pytest.raises(
            RuntimeError, match=r'Unexpected.*"transformer_decoder\.layers\.1\.ffns\.0\.layers\.1\.bias"'
        ):
            build_head().load_state_dict(state_dict)

    def test_misfits_are_named(self):
        state_dict = self.originals_names(build_head().state_dict())
        state_dict.pop('pixel_decoder.encoder.layers.0.attentions.0.value_proj.weight')
        state_dict['transformer_decoder.layers.2.attentions.1.attn.in_proj_bias'] = torch.ones(5)
        with pytest.raises(RuntimeError) as error:
            build_head().load_state_dict(state_dict)
        assert 'Missing key(s) in state_dict: "pixel_decoder.encoder.layers.0.self_attn.value_proj.weight"' in str(
            error.value
        )
        assert 'size mismatch for transformer_decoder.layers.2.self_attn.attn.in_proj_bias' in str(error.value)

    def test_a_copy_loads_too(self):
        head = copy.deepcopy(build_head())
        head.load_state_dict(self.originals_names(build_head().state_dict()), strict=True)

    def test_old_names_load_into_divided_weights(self):
        from shared_ops.openmmlab.sharding import full_state, shard

        whole = build_head()
        torch.distributed.init_process_group('gloo', store=torch.distributed.HashStore(), rank=0, world_size=1)
        try:
            head = shard(build_head())
            head.load_state_dict(self.originals_names(whole.state_dict()), strict=True)
            found = full_state(head)
            broken = self.originals_names(whole.state_dict())
            broken['transformer_decoder.layers.2.attentions.1.attn.in_proj_bias'] = torch.ones(5)
            with pytest.raises(RuntimeError, match=r'size mismatch for transformer_decoder\.layers\.2\.self_attn'):
                head.load_state_dict(broken)
        finally:
            torch.distributed.destroy_process_group()
        assert list(found) == list(whole.state_dict())
        for key, value in whole.state_dict().items():
            assert torch.equal(found[key], value)


def test_layers_of_the_optimizer():
    head = build_head()
    first = {name.split('.')[0] for name, _ in head.named_parameters() if head.get_layer_id(name) == 0}
    assert first == {'mask_embed', 'cls_embed', 'level_embed', 'query_embed', 'query_feat'}
    assert head.get_layer_id('pixel_decoder.level_encoding.weight') is None


def test_initial_values():
    """Attention starts with offsets around the position, as in shared_ops, and not with what the rest starts with."""
    from mmseg.registry import MODELS

    build_head()
    head = MODELS.build(head_config())
    torch.nn.init.ones_(head.pixel_decoder.encoder.layers[1].self_attn.sampling_offsets.weight)
    head.init_weights()
    for layer in head.pixel_decoder.encoder.layers:
        assert layer.self_attn.sampling_offsets.weight.abs().max() == 0
        assert layer.self_attn.sampling_offsets.bias.abs().max() == 2, 'the second point is two pixels away'


class TestRecomputing:
    def test_gradients_are_the_same(self):
        kept, recomputed = head_config(), head_config()
        recomputed.pixel_decoder.encoder.layer_cfg.ffn_cfg.with_cp = True
        recomputed.transformer_decoder.layer_cfg.ffn_cfg.with_cp = True
        kept.transformer_decoder.layer_cfg.ffn_cfg.with_cp = False
        heads = [build_head(kept), build_head(recomputed)]
        heads[1].load_state_dict(heads[0].state_dict(), strict=True)
        calls = [0, 0]
        inputs = [feature.requires_grad_() for feature in features()]
        for index, head in enumerate(heads):
            for transformer in (head.pixel_decoder.encoder, head.transformer_decoder):
                for layer in transformer.layers:
                    layer.ffn.layers[0].register_forward_hook(
                        lambda *_, index=index: calls.__setitem__(index, calls[index] + 1)
                    )
            head(inputs)[1][-1].sum().backward()
        assert calls == [6, 12], 'every feed-forward layer runs once, or once more in the backward'
        for (name, parameter), other in zip(heads[0].named_parameters(), heads[1].parameters(), strict=True):
            if parameter.grad is not None:
                torch.testing.assert_close(parameter.grad, other.grad, msg=name)


class TestArguments:
    def test_the_config_is_left_alone(self):
        config = head_config()
        config.transformer_decoder.layer_cfg.ffn_cfg.with_cp = True
        before = copy.deepcopy(config)
        build_head(config)
        assert config == before

    def test_another_pixel_decoder(self):
        config = head_config()
        config.pixel_decoder.type = 'mmdet.PixelDecoder'
        with pytest.raises(ValueError, match=r"type 'mmdet\.PixelDecoder', but must have 'mmdet\.MSDeformAttn"):
            build_head(config)

    def test_class_weights_of_another_number(self):
        with pytest.raises(ValueError, match=r'class_weight has 6 entries.*num_classes=8 classes'):
            build_head(head_config(num_classes=8))

    @pytest.mark.parametrize(
        'train_cfg', [None, {'num_points': 5}, {**TRAIN_CFG, 'sampled_points': 5}], ids=['none', 'part', 'unknown']
    )
    def test_train_cfg(self, train_cfg):
        with pytest.raises(ValueError, match=r"train_cfg has .* but must have 'assigner'"):
            build_head().loss(features(), samples(label_maps()), train_cfg)


def test_mmsegmentations_own_head_stays_registered(mask2former):
    from mmdet.registry import MODELS as MMDET_MODELS
    from mmseg.registry import MODELS

    assert MODELS.get('Mask2FormerHead').__module__ == 'mmseg.models.decode_heads.mask2former_head'
    assert MODELS.get('SemanticMask2FormerHead') is mask2former.SemanticMask2FormerHead
    assert MMDET_MODELS.get('MSDeformAttnPixelDecoder').__module__ == 'mmdet.models.layers.msdeformattn_pixel_decoder'
