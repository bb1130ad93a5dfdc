"""The encoder ``graph/gin``."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Interval
from jaxtyping import Float
from torch import Tensor, nn

from zoo import Encoder, Modality, Tensors
from zoo_graph.neighbourhoods import GraphReader, Pool, graph_modality, pooled


class GINEncoder(Encoder):
    """A graph isomorphism network, which distinguishes graphs as well as sums over neighbours can.

    A layer is, for a node v with neighbours N(v) and a learnt ε,

        h'_v = MLP((1 + ε) h_v + Σ_{u in N(v)} h_u)

    The features are the pooled nodes of each layer and of the initial features (see ``GraphReader``), concatenated:
    ``width`` times (``depth`` + 1) numbers.

    Source: Xu et al. 2019, arXiv 1810.00826, equations 4.1 and 4.2; layer normalisation replaces the paper's batch
    normalisation, by which rows would affect each other.
    """

    def __init__(
        self,
        modality: Modality,
        *,
        width: Annotated[int, Ge(1)] = 64,
        depth: Annotated[int, Ge(1)] = 3,
        pool: Pool = "sum",
        edge_labels: bool = True,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        graphs = graph_modality(modality, "the encoder 'gin'")
        self.feature_dim = width * (depth + 1)
        self.pool: Pool = pool
        self.read = GraphReader(graphs, width, edge_labels=edge_labels)
        self.epsilon = nn.Parameter(torch.zeros(depth))
        self.layers = nn.ModuleList(_perceptron(width) for _ in range(depth))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tensors: Tensors) -> Float[Tensor, "batch feature"]:
        """Return one row of features per graph."""
        hidden, adjacency = self.read(tensors)
        levels = [hidden]
        for layer, epsilon in zip(self.layers, self.epsilon, strict=True):
            hidden = layer(self.dropout((1 + epsilon) * hidden + adjacency @ hidden))
            levels.append(hidden)
        return torch.cat([pooled(level, tensors["node_mask"], self.pool) for level in levels], dim=-1)


def _perceptron(width: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU(), nn.Linear(width, width), nn.LayerNorm(width), nn.ReLU()
    )
