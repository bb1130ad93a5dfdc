"""The common part of encoders of graphs: features of nodes, adjacency, and pooling."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from zoo import Modality, Tensors, modality_of
from zoo_graph.modality import GraphModality

Pool = Literal["mean", "sum", "max"]


class GraphReader(nn.Module):
    """Turns ids into features of nodes and an adjacency matrix.

    A node's initial features are the embedding of its label plus those of the labels of its edges, one per edge.
    Without ``edge_labels`` they are only the embedding of its own label.

    The matrix is dense, so memory grows with the square of the number of nodes. Up to some hundred nodes this is faster
    than sums over a list of edges, in torch and in onnxruntime.
    """

    def __init__(self, modality: GraphModality, width: int, *, edge_labels: bool) -> None:
        super().__init__()
        self.nodes = nn.Embedding(modality.node_count, width)
        self.edges = nn.Embedding(modality.edge_count, width) if edge_labels else None

    def forward(self, tensors: Tensors) -> tuple[Float[Tensor, "batch node width"], Float[Tensor, "batch node node"]]:
        """Return the features of each node, and how many edges join each pair of nodes."""
        hidden: Tensor = self.nodes(tensors["node_ids"])
        first, second, there = _joined(tensors, hidden.dtype)
        count = hidden.shape[1]
        one_way = _counts(there, first, second, count, count)
        if self.edges is not None:
            kinds = self.edges.num_embeddings
            labels = [_counts(there, end, tensors["edge_ids"], count, kinds) for end in (first, second)]
            hidden = hidden + (labels[0] + labels[1]) @ self.edges.weight
        return hidden, one_way + one_way.transpose(1, 2)


def _joined(
    tensors: Tensors, dtype: torch.dtype
) -> tuple[Int[Tensor, "batch edge"], Int[Tensor, "batch edge"], Float[Tensor, "batch edge"]]:
    """Return the two ends of each edge, and 1 for each edge that joins two nodes, else 0."""
    ends, mask = tensors["edge_ends"], tensors["node_mask"]
    inside = ends.clamp(max=mask.shape[1] - 1)
    first, second = inside.unbind(dim=-1)
    there = tensors["edge_mask"] & mask.gather(1, first) & mask.gather(1, second) & (inside == ends).all(dim=-1)
    return first, second, there.to(dtype)


def _counts(
    there: Float[Tensor, "batch edge"],
    row: Int[Tensor, "batch edge"],
    column: Int[Tensor, "batch edge"],
    height: int | torch.SymInt,
    width: int | torch.SymInt,
) -> Float[Tensor, "batch row column"]:
    """Return one matrix per row, ``height`` by ``width``, that counts the edges at each place."""
    batch = there.shape[0]
    start = torch.arange(batch, device=there.device).unsqueeze(1).mul(height)
    index = (start + row).mul(width) + column
    counts = there.new_zeros(batch * height * width).index_add(0, index.flatten(), there.flatten())
    return counts.reshape(batch, height, width)


def with_self(adjacency: Float[Tensor, "batch node node"]) -> Float[Tensor, "batch node node"]:
    """Return the matrix with an edge from each node to itself, padding included."""
    return adjacency + torch.eye(adjacency.shape[1], dtype=adjacency.dtype, device=adjacency.device)


def pooled(
    hidden: Float[Tensor, "batch node width"], mask: Bool[Tensor, "batch node"], pool: Pool
) -> Float[Tensor, "batch width"]:
    """Return the mean, the sum or the maximum over a graph's nodes; zero if it has none."""
    there = mask.unsqueeze(-1)
    if pool == "max":
        highest = hidden.masked_fill(~there, -torch.inf).amax(dim=1)
        return torch.where(there.any(dim=1), highest, torch.zeros_like(highest))
    weight = there.to(hidden.dtype)
    total = (hidden * weight).sum(dim=1)
    return total if pool == "sum" else total / weight.sum(dim=1).clamp(min=1)


def graph_modality(modality: Modality, component: str) -> GraphModality:
    """Return ``modality`` if it is of graphs; raise SpecError, naming ``component``, if not."""
    return modality_of(GraphModality, "graph", modality, component=component)
