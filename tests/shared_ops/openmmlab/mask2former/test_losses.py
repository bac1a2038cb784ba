"""Targets, points, matching and losses: against MMDetection's, against plain loops, and where nothing is labelled."""

import itertools

import pytest
import torch
import torch.nn.functional as F
from mmengine.config import ConfigDict

from support.mask2former import (
    NUM_CLASSES,
    TRAIN_CFG,
    build_head,
    features,
    head_config,
    label_maps,
    samples,
)


@pytest.fixture
def criterion(mask2former):
    head = build_head()
    return head._criterion_of(TRAIN_CFG)


class TestAgainstMMDetection:
    """It computes the originals' losses too, in single precision and without ignored pixels' order."""

    @pytest.fixture
    def heads(self):
        from mmseg.models.decode_heads import Mask2FormerHead

        ours = build_head()
        config = head_config(
            train_cfg=ConfigDict(TRAIN_CFG, sampler=dict(type='mmdet.MaskPseudoSampler')),
        )
        config.pop('type')
        theirs = Mask2FormerHead(**config)
        theirs.load_state_dict(ours.state_dict(), strict=True)
        return ours, theirs

    def test_losses_and_gradients(self, heads):
        inputs, maps = features(), label_maps()
        gradients, losses = [], []
        for head in heads:
            torch.manual_seed(5)
            losses.append(head.loss(inputs, samples(maps), TRAIN_CFG))
            sum(losses[-1].values()).sum().backward()
            gradients.append({name: parameter.grad for name, parameter in head.named_parameters()})
        ours, theirs = losses
        assert list(ours) == list(theirs)
        assert len(ours) == 3 * 5
        for name, loss in theirs.items():
            assert ours[name].item() == pytest.approx(loss.item(), rel=1e-5), name
        for name, expected in gradients[1].items():
            torch.testing.assert_close(
                gradients[0][name], expected, rtol=0, atol=1e-3 * expected.abs().max().item() + 1e-9, msg=name
            )


class TestTargets:
    def test_one_mask_for_each_class_that_occurs(self, mask2former):
        label_map = torch.tensor([[[3, 3, 255], [1, 255, 0]]])
        labels, masks = mask2former.mask_targets(label_map, num_classes=4, ignore_index=255, dtype=torch.float64)
        assert labels.tolist() == [0, 1, 3]
        assert masks.dtype == torch.float64
        assert masks.tolist() == [
            [[0, 0, 0], [0, 0, 1]],
            [[0, 0, 0], [1, 0, 0]],
            [[1, 1, 0], [0, 0, 0]],
        ], 'ignored pixels are in none'

    def test_nothing_is_labelled(self, mask2former):
        label_map = torch.full((1, 2, 3), 7)
        labels, masks = mask2former.mask_targets(label_map, num_classes=5, ignore_index=7, dtype=torch.float32)
        assert labels.shape == (0,)
        assert masks.shape == (0, 2, 3)

    def test_a_label_that_is_no_class(self, mask2former):
        with pytest.raises(ValueError, match=r'has the labels \[-1, 4, 9\], but num_classes=4 and ignore_index=255'):
            mask2former.mask_targets(
                torch.tensor([[4, 9, 255, 0, -1]]), num_classes=4, ignore_index=255, dtype=torch.float32
            )


class TestPoints:
    @pytest.fixture
    def points(self, mask2former):
        import shared_ops.openmmlab.mask2former.points as points

        return points

    def test_sampling(self, points):
        maps = torch.randn(2, 4, 5, dtype=torch.float64)
        where = torch.rand(2, 9, 2, dtype=torch.float64)
        found = points.sample_points(maps, where)
        for index, point in itertools.product(range(2), range(9)):
            x, y = where[index, point, 0] * 5 - 0.5, where[index, point, 1] * 4 - 0.5
            expected = 0.0
            for row, column in itertools.product(range(4), range(5)):
                weight = max(0.0, 1 - abs(x - column)) * max(0.0, 1 - abs(y - row))
                expected += weight * maps[index, row, column]
            assert found[index, point].item() == pytest.approx(float(expected), abs=1e-12)

    def test_undecided_points_are_chosen(self, points):
        # left decided, right undecided, so that every point in the right half comes before any in the left one
        logits = torch.cat((torch.full((3, 8, 8), 5.0), torch.full((3, 8, 8), 0.1)), dim=2)
        chosen = points.uncertain_points(logits, 40, oversample_ratio=4.0, importance_sample_ratio=0.6)
        assert chosen.shape == (3, 40, 2)
        assert (chosen[:, :24, 0] > 0.5).all()
        assert (chosen[:, 24:, 0] < 0.5).any(), 'the others are anywhere'

    def test_all_points_may_be_chosen(self, points):
        logits = torch.randn(2, 6, 7)
        assert points.uncertain_points(logits, 11, oversample_ratio=2.0, importance_sample_ratio=1.0).shape == (
            2,
            11,
            2,
        )


class TestMatching:
    def test_cheapest_pairs(self, criterion, mask2former):
        cls_pred, mask_pred = torch.randn(5, NUM_CLASSES + 1), 2 * torch.randn(5, 6, 10)
        target = mask2former.mask_targets(
            label_maps(1)[0], num_classes=NUM_CLASSES, ignore_index=255, dtype=torch.float32
        )
        number = len(target.labels)
        assert number == 4
        torch.manual_seed(3)
        queries, masks = criterion.match(cls_pred, mask_pred, target)
        assert queries.tolist() == sorted(set(queries.tolist()))
        assert sorted(masks.tolist()) == list(range(number))

        torch.manual_seed(3)
        points = torch.rand((1, 112, 2))
        logits, values = (
            F.grid_sample(m[:, None], 2 * points.expand(len(m), -1, -1)[:, None] - 1, align_corners=False)
            for m in (mask_pred, target.masks)
        )
        logits, values = logits.flatten(1).double(), values.flatten(1).double()

        def cost(query, mask):
            probability, value = logits[query].sigmoid(), values[mask]
            cross_entropy = -(value * probability.log() + (1 - value) * (1 - probability).log()).mean()
            dice = 1 - (2 * (probability * value).sum() + 1) / (probability.sum() + value.sum() + 1)
            return -2 * cls_pred[query].softmax(0)[target.labels[mask]] + 5 * cross_entropy + 5 * dice

        costs = {
            order: sum(float(cost(query, mask)) for mask, query in enumerate(order))
            for order in itertools.permutations(range(5), number)
        }
        best = min(costs, key=costs.get)
        assert {(query, mask) for mask, query in enumerate(best)} == set(zip(queries.tolist(), masks.tolist()))

    def test_more_masks_than_queries(self, criterion, mask2former):
        target = mask2former.mask_targets(
            label_maps(1)[0], num_classes=NUM_CLASSES, ignore_index=255, dtype=torch.float32
        )
        queries, masks = criterion.match(torch.randn(3, NUM_CLASSES + 1), torch.randn(3, 6, 10), target)
        assert queries.tolist() == [0, 1, 2]
        assert len(set(masks.tolist())) == 3

    def test_values_that_are_no_numbers(self, criterion, mask2former):
        """One step of a training in half precision that overflows is skipped later on, and must not end it here."""
        target = mask2former.mask_targets(
            label_maps(1)[0], num_classes=NUM_CLASSES, ignore_index=255, dtype=torch.float32
        )
        mask_pred = torch.randn(6, 6, 10)
        mask_pred[2] = torch.nan
        mask_pred[4] = torch.inf
        queries, _ = criterion.match(torch.randn(6, NUM_CLASSES + 1), mask_pred, target)
        assert len(queries) == len(target.labels)
        assert 2 not in queries


class TestNothingLabelled:
    def test_one_image_of_two(self):
        head = build_head()
        maps = label_maps()
        maps[1] = 255
        losses = head.loss(features(), samples(maps), TRAIN_CFG)
        assert all(torch.isfinite(loss) for loss in losses.values())
        assert losses['loss_mask'] > 0

    def test_no_image(self):
        head = build_head()
        losses = head.loss(features(), samples(torch.full((2, 96, 160), 255)), TRAIN_CFG)
        assert losses['loss_cls'] > 0, 'all queries have to say "no object"'
        assert losses['loss_mask'] == losses['loss_dice'] == losses['d0.loss_mask'] == 0
        sum(losses.values()).backward()
        assert all(
            parameter.grad is not None and torch.isfinite(parameter.grad).all() for parameter in head.parameters()
        ), 'several processes average the gradients of the same parameters'


def test_ignored_pixels_count_as_background():
    """What is predicted where pixels are ignored is compared with nothing being there."""
    maps = torch.zeros(1, 96, 160, dtype=torch.int64)
    maps[:, :, 80:] = 255
    head = build_head(head_config(num_queries=1))
    inputs = features(1)
    with torch.no_grad():
        torch.manual_seed(1)
        ignored = head.loss(inputs, samples(maps), TRAIN_CFG)['loss_mask'].item()
        torch.manual_seed(1)
        everywhere = head.loss(inputs, samples(torch.zeros_like(maps)), TRAIN_CFG)['loss_mask'].item()
    logits = head(inputs)[1][-1]
    assert (logits.std() > 0.1) and abs(ignored - everywhere) > 0.1


def test_number_of_masks_is_averaged_over_processes(monkeypatch):
    import shared_ops.openmmlab.mask2former.criterion as module

    head, inputs, maps = build_head(), features(), label_maps()
    torch.manual_seed(2)
    alone = head.loss(inputs, samples(maps), TRAIN_CFG)
    monkeypatch.setattr(module, 'reduce_mean', lambda number: 2.0 * number)
    torch.manual_seed(2)
    among_others = head.loss(inputs, samples(maps), TRAIN_CFG)
    for name, loss in alone.items():
        factor = 1.0 if name.endswith('loss_cls') else 0.5
        assert among_others[name].item() == pytest.approx(factor * loss.item(), rel=1e-6), name


class TestSettings:
    def test_the_heads_replace_the_segmentors(self):
        head = build_head(head_config(train_cfg=dict(num_points=33)))
        assert head._criterion_of({**TRAIN_CFG, **head.train_cfg}).num_points == 33
        head.loss(features(), samples(label_maps()), TRAIN_CFG)
        assert head._criterion[1].num_points == 33

    def test_they_are_read_again_when_they_change(self):
        head = build_head()
        inputs, maps = features(), label_maps()
        head.loss(inputs, samples(maps), TRAIN_CFG)
        first = head._criterion[1]
        head.loss(inputs, samples(maps), dict(TRAIN_CFG))
        assert head._criterion[1] is first
        head.loss(inputs, samples(maps), {**TRAIN_CFG, 'num_points': 50})
        assert head._criterion[1].num_points == 50


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
def test_automatic_mixed_precision(dtype):
    head = build_head()
    inputs, maps = features(), label_maps()
    torch.manual_seed(4)
    expected = head.loss(inputs, samples(maps), TRAIN_CFG)
    torch.manual_seed(4)
    with torch.autocast('cpu', dtype=dtype):
        losses = head.loss(inputs, samples(maps), TRAIN_CFG)
    assert all(loss.dtype == torch.float32 and torch.isfinite(loss) for loss in losses.values())
    assert losses['d0.loss_cls'].item() == pytest.approx(expected['d0.loss_cls'].item(), rel=0.02)
    sum(losses.values()).backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in head.parameters())
