"""BEiT's relative position bias: laid out as by an index, on other grids, in state dicts."""

import gc
import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from shared_ops import vit
from shared_ops.vit import RelativePositionBias, relative_position_index
from shared_ops.vit.relative_position import table_rows

WINDOW = (3, 5)
HEADS = 2


def relative_position_bias(table, window, grid):
    """Return the bias with its keys from the first to the last."""
    return vit.relative_position_bias(table, window, grid).flip(2)


def some_table(window=WINDOW, dtype=torch.float64):
    return torch.randn(table_rows(window), HEADS, dtype=dtype)


def row_of(window, query, key):
    """Say which row of a table a pair of tokens has; token 0 is the class token."""
    height, width = window
    first_of_class = (2 * height - 1) * (2 * width - 1)
    if query == key == 0:
        return first_of_class + 2
    if query == 0:
        return first_of_class
    if key == 0:
        return first_of_class + 1
    rows = (query - 1) // width - (key - 1) // width
    columns = (query - 1) % width - (key - 1) % width
    return (rows + height - 1) * (2 * width - 1) + columns + width - 1


class TestLayout:
    def test_every_pair_has_its_row(self):
        table = some_table()
        bias = relative_position_bias(table, WINDOW, WINDOW)
        assert bias.shape == (HEADS, 16, 16)
        for query in range(16):
            for key in range(16):
                row = row_of(WINDOW, query, key)
                assert torch.equal(bias[:, query, key], table[row])
                assert relative_position_index(WINDOW)[query, key] == row

    @given(height=st.integers(1, 4), width=st.integers(1, 4))
    def test_smaller_grids_keep_the_entries_of_their_offsets(self, height, width):
        window = (4, 4)
        table = some_table(window)
        bias = relative_position_bias(table, window, (height, width))
        places = [0] + [1 + row * 4 + column for row in range(height) for column in range(width)]
        index = torch.tensor([[row_of(window, query, key) for key in places] for query in places])
        assert torch.equal(bias, table[index].permute(2, 0, 1))

    @pytest.mark.parametrize('grid', [(4, 9), (3, 6), (7, 5), (2, 8)], ids=str)
    def test_larger_grids_keep_middle_and_ends(self, grid):
        table = some_table()
        bias = relative_position_bias(table, WINDOW, grid)
        offsets = table[:-3].T.reshape(HEADS, 5, 9)
        rows = min(grid[0], 3) - 1  # the largest distance of rows that the table has and the grid shows
        last = grid[0] * grid[1]
        corner = 1 + grid[1] - 1  # the token at the end of the first row
        torch.testing.assert_close(bias[:, 1, 1], offsets[:, 2, 4])
        torch.testing.assert_close(bias[:, 1, corner], offsets[:, 2, 0])
        torch.testing.assert_close(bias[:, corner, 1], offsets[:, 2, 8])
        torch.testing.assert_close(bias[:, 1, last], offsets[:, 2 - rows, 0])
        torch.testing.assert_close(bias[:, last, 1], offsets[:, 2 + rows, 8])
        assert torch.equal(bias[:, 0, 0], table[-1])
        assert torch.equal(bias[:, 0, last], table[-3]) and torch.equal(bias[:, last, 0], table[-2])

    def test_a_stretched_table_is_still_one_of_offsets(self):
        bias = relative_position_bias(some_table(), WINDOW, (4, 7))[:, 1:, 1:].reshape(HEADS, 4, 7, 4, 7)
        assert torch.equal(bias[:, 2, 5, 1, 3], bias[:, 3, 4, 2, 2])
        assert not torch.equal(bias[:, 2, 5, 1, 3], bias[:, 1, 3, 2, 5])

    @pytest.mark.parametrize('grid', [WINDOW, (2, 3), (6, 7), (4, 8)], ids=str)
    def test_rows_are_aligned_in_memory(self, grid):
        bias = vit.relative_position_bias(some_table(), WINDOW, grid)
        assert bias.stride(0) % 8 == bias.stride(1) % 8 == bias.storage_offset() % 8 == 0 and bias.stride(2) == 1

    @pytest.mark.parametrize('grid', [WINDOW, (2, 4), (4, 6)], ids=['window', 'smaller', 'larger'])
    def test_gradient(self, grid):
        table = some_table().requires_grad_()
        assert torch.autograd.gradcheck(lambda t: relative_position_bias(t, WINDOW, grid), table, fast_mode=True)

    @pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
    @pytest.mark.parametrize('grid', [WINDOW, (5, 8)], ids=['window', 'larger'])
    def test_half_precision(self, grid, dtype):
        table = some_table(dtype=dtype)
        bias = relative_position_bias(table, WINDOW, grid)
        assert bias.dtype == dtype
        expected = relative_position_bias(table.double(), WINDOW, grid)
        torch.testing.assert_close(bias.double(), expected, rtol=2 * torch.finfo(dtype).eps, atol=1e-6)


class TestStateDict:
    def blocks(self):
        return nn.ModuleList(RelativePositionBias(WINDOW, HEADS) for _ in range(2))

    def test_has_an_index_that_blocks_share(self):
        blocks = self.blocks()
        state = blocks.state_dict()
        keys = {f'{block}.relative_position_{what}' for block in (0, 1) for what in ('bias_table', 'index')}
        assert set(state) == keys
        assert state['0.relative_position_index'] is state['1.relative_position_index']
        assert state['0.relative_position_index'] is blocks[0].relative_position_index
        assert state['0.relative_position_index'].dtype == torch.int64

    def test_index_lives_no_longer_than_the_state_dict(self):
        blocks = self.blocks()
        index = weakref.ref(blocks.state_dict()['0.relative_position_index'])
        gc.collect()
        assert index() is None
        assert not list(blocks.buffers())

    def test_an_index_from_inference_mode_is_a_plain_tensor(self):
        with torch.inference_mode():
            state = self.blocks().state_dict()
        assert not state['0.relative_position_index'].is_inference()

    def test_round_trip(self):
        blocks = self.blocks()
        nn.init.normal_(blocks[1].relative_position_bias_table)
        copied = self.blocks()
        copied.load_state_dict(blocks.state_dict(), strict=True)
        assert torch.equal(copied[1].relative_position_bias_table, blocks[1].relative_position_bias_table)

    def test_an_index_need_not_be_there(self):
        state = self.blocks().state_dict()
        state.pop('0.relative_position_index')
        assert self.blocks().load_state_dict(state, strict=True) == ([], [])

    def test_index_of_another_window(self):
        state = self.blocks().state_dict()
        state['1.relative_position_index'] = torch.zeros(5, 5, dtype=torch.int64)
        message = r'size mismatch for 1.relative_position_index: .*\[5, 5\].*\[16, 16\]'
        with pytest.raises(RuntimeError, match=message):
            self.blocks().load_state_dict(state)

    def test_without_a_table(self):
        module = RelativePositionBias(None, HEADS)
        assert not module.state_dict()
        assert module.relative_position_bias((2, 3), torch.float32) is None
        with pytest.raises(RuntimeError, match='Unexpected key'):
            module.load_state_dict({'relative_position_index': relative_position_index(WINDOW)})
        assert module.relative_position_index is None

    def test_without_values(self):
        with torch.device('meta'):
            blocks = self.blocks()
        state = blocks.state_dict()
        assert all(value.is_meta for value in state.values())
        assert state['0.relative_position_index'].shape == (16, 16)
