"""The encoder ``graph/gcn``."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Interval
from jaxtyping import Float
from torch import Tensor, nn

from zoo import Encoder, Modality, Tensors
from zoo_graph.neighbourhoods import GraphReader, Pool, graph_modality, pooled, with_self


class GCNEncoder(Encoder):
    """A graph convolutional network: each layer mixes a node with its neighbours, then all nodes are pooled.

    A layer is, with A the adjacency matrix and D̃ the degrees of A + I,

        H' = relu(D̃^-1/2 (A + I) D̃^-1/2 H W + b)

    A layer treats all edges alike; their labels are part of the nodes' initial features, see ``GraphReader``.

    Source: Kipf & Welling 2017, arXiv 1609.02907, equation 2, with a bias.
    """

    def __init__(
        self,
        modality: Modality,
        *,
        width: Annotated[int, Ge(1)] = 128,
        depth: Annotated[int, Ge(1)] = 3,
        pool: Pool = "mean",
        edge_labels: bool = True,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__()
        graphs = graph_modality(modality, "the encoder 'gcn'")
        self.feature_dim = width
        self.pool: Pool = pool
        self.read = GraphReader(graphs, width, edge_labels=edge_labels)
        self.layers = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.dropout = nn.Dropout(dropout)

    def forward(self, tensors: Tensors) -> Float[Tensor, "batch feature"]:
        """Return one row of features per graph."""
        hidden, adjacency = self.read(tensors)
        propagation = normalised(adjacency)
        for layer in self.layers:
            hidden = torch.relu(layer(propagation @ self.dropout(hidden)))
        return pooled(hidden, tensors["node_mask"], self.pool)


def normalised(adjacency: Float[Tensor, "batch node node"]) -> Float[Tensor, "batch node node"]:
    """Return D̃^-1/2 (A + I) D̃^-1/2."""
    joined = with_self(adjacency)
    scale = joined.sum(dim=-1, keepdim=True).rsqrt()
    return scale * joined * scale.transpose(1, 2)
