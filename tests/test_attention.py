"""Attention is that of torch, and what is not seen changes nothing."""

import pytest
import torch
from torch import nn

from zoo.models.attention import TransformerBlock, self_attention


def tokens(seed=0):
    return torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(seed))


SEEN = torch.arange(5) < torch.tensor([[5], [3], [1]])


@pytest.mark.parametrize("seen", [None, SEEN])
def test_attention_is_that_of_torch(seen):
    torch.manual_seed(0)
    expected = nn.MultiheadAttention(8, 2, bias=False, batch_first=True)
    expected.out_proj.weight.data = torch.eye(8)
    unseen = None if seen is None else ~seen
    made, _ = expected(tokens(), tokens(), tokens(), key_padding_mask=unseen, need_weights=False)
    torch.testing.assert_close(self_attention(tokens() @ expected.in_proj_weight.T, 2, seen), made)


def test_tokens_that_are_not_seen_change_no_other():
    torch.manual_seed(0)
    block = TransformerBlock(8, 2, 0.0)
    other = torch.where(SEEN.unsqueeze(-1), tokens(), tokens(seed=1))
    torch.testing.assert_close(block(tokens(), SEEN)[SEEN], block(other, SEEN)[SEEN], atol=1e-6, rtol=0)
    assert not torch.allclose(block(tokens())[SEEN], block(other)[SEEN], atol=1e-3)


def test_a_block_whose_branches_give_zero_passes_its_input_on():
    block = TransformerBlock(8, 2, 0.5)
    for last in (block.output, block.layers[-1]):
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
    torch.testing.assert_close(block(tokens()), tokens(), atol=0, rtol=0)


def test_the_names_of_a_blocks_weights_are_those_in_files():
    assert {name.rpartition(".")[0] for name in TransformerBlock(8, 2, 0.0).state_dict()} == {
        "attention_norm",
        "projection",
        "output",
        "layers_norm",
        "layers.0",
        "layers.2",
    }
