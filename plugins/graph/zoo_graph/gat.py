"""The encoder ``graph/gat``."""

from __future__ import annotations

from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Ge, Interval
from jaxtyping import Bool, Float
from torch import Tensor, nn

from zoo import Encoder, Modality, SpecError, Tensors
from zoo_graph.neighbourhoods import GraphReader, Pool, graph_modality, pooled, with_self

_NEGATIVE_SLOPE = 0.2


class GATEncoder(Encoder):
    """A graph attention network: each layer weights a node and its neighbours by attention, with ``heads`` heads.

    Every layer concatenates its heads, also the last one, for which the paper averages them. Attention sees which nodes
    are joined; the labels of edges are part of the nodes' initial features, see ``GraphReader``.

    Source: Veličković et al. 2018, arXiv 1710.10903, equations 3 and 5.
    """

    def __init__(
        self,
        modality: Modality,
        *,
        width: Annotated[int, Ge(1)] = 128,
        depth: Annotated[int, Ge(1)] = 3,
        heads: Annotated[int, Ge(1)] = 4,
        pool: Pool = "mean",
        edge_labels: bool = True,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        graphs = graph_modality(modality, "the encoder 'gat'")
        if width % heads:
            raise SpecError(f"the option 'width' is a multiple of 'heads', got width {width} and heads {heads}")
        self.feature_dim = width
        self.pool: Pool = pool
        self.read = GraphReader(graphs, width, edge_labels=edge_labels)
        self.layers = nn.ModuleList(_Attention(width, heads) for _ in range(depth))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tensors: Tensors) -> Float[Tensor, "batch feature"]:
        """Return one row of features per graph."""
        hidden, adjacency = self.read(tensors)
        # Each node attends to itself, also in padding, so no softmax is empty.
        seen = with_self(adjacency) > 0
        for layer in self.layers:
            hidden = F.elu(layer(self.dropout(hidden), seen))
        return pooled(hidden, tensors["node_mask"], self.pool)


class _Attention(nn.Module):
    """One layer: softmax over neighbours of leakyrelu(a · [W h_i, W h_j]), each head with its own W and a."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.projection = nn.Linear(width, width, bias=False)
        # The two halves of a: for the node that looks, and for the one that is looked at.
        self.looking = nn.Parameter(torch.randn(heads, width // heads, 1) * (heads / width) ** 0.5)
        self.looked_at = nn.Parameter(torch.randn(heads, width // heads, 1) * (heads / width) ** 0.5)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(
        self, hidden: Float[Tensor, "batch node width"], seen: Bool[Tensor, "batch node node"]
    ) -> Float[Tensor, "batch node width"]:
        """Return the attention-weighted sum of each node's neighbours."""
        values = self.projection(hidden).unflatten(-1, (self.heads, -1)).transpose(1, 2)  # batch, head, node, width
        logits = F.leaky_relu(values @ self.looking + (values @ self.looked_at).transpose(-1, -2), _NEGATIVE_SLOPE)
        attention = logits.masked_fill(~seen.unsqueeze(1), -torch.inf).softmax(dim=-1)
        gathered: Tensor = (attention @ values).transpose(1, 2).flatten(-2) + self.bias
        return gathered
