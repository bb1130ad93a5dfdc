"""A distribution over graphs with a largest number of nodes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int
from torch import Tensor

from zoo import Tensors


class IndependentGraph:
    """Each place has a node of some label or none; each two nodes are joined by an edge of some label or not.

    ``node_logits`` is batch x place x id of a node, ``edge_logits`` batch x place x place x id of an edge, the same
    from either side; id 0 means that there is none. Given the latent, all choices are independent. A graph is scored in
    the order of its own nodes: the first node takes the first place. Another order is another outcome.

    Source: Simonovsky & Komodakis 2018, arXiv 1802.03480, equation 2, without its matching of nodes.
    """

    def __init__(
        self, node_logits: Float[Tensor, "batch node label"], edge_logits: Float[Tensor, "batch node node edge"]
    ) -> None:
        self.node_logits = node_logits
        self.edge_logits = edge_logits

    def log_prob(self, tensors: Tensors) -> Float[Tensor, " batch"]:
        """Return the sum over all places, and over all pairs of the graph's nodes, in nats."""
        nodes, edges = self._ids(tensors)
        of_nodes = _of(self.node_logits, nodes).sum(dim=1)
        pairs = _pairs(nodes > 0).triu(diagonal=1)
        of_edges = torch.where(pairs, _of(self.edge_logits, edges), 0)
        return of_nodes + of_edges.sum(dim=(1, 2))

    def mode(self) -> Tensors:
        """Return the probability of each label of a node, and of an edge; id 0 means that there is none.

        An edge needs both its nodes, so its probability is a product of three.
        """
        nodes, edges = self.node_logits.softmax(dim=-1), self.edge_logits.softmax(dim=-1)
        there = 1 - nodes[..., 0]
        present = (there.unsqueeze(1) * there.unsqueeze(2) * _off_diagonal(edges)).unsqueeze(-1) * edges[..., 1:]
        none = 1 - present.sum(dim=-1, keepdim=True)
        return {"node_probability": nodes, "edge_probability": torch.cat([none, present], dim=-1)}

    def target(self, tensors: Tensors) -> Tensors:
        """Return the row's own graph in the form of the mode: ones and zeros."""
        return self._certain(*self._ids(tensors))

    def sample(self, generator: torch.Generator) -> Tensors:
        """Draw the nodes, then the edges between them."""
        nodes, edges = _drawn(self.node_logits, generator), _drawn(self.edge_logits, generator).triu(diagonal=1)
        edges = edges * _pairs(nodes > 0)
        return self._certain(nodes, edges + edges.transpose(1, 2))

    def _ids(self, tensors: Tensors) -> tuple[Int[Tensor, "batch node"], Int[Tensor, "batch node node"]]:
        """Return the id of each place and of each pair; 0 means that there is none."""
        places = self.node_logits.shape[1]
        given = tensors["node_ids"] * tensors["node_mask"]
        nodes = F.pad(given, (0, places - given.shape[1]))  # what a negative number cuts off is padding
        first, second = tensors["edge_ends"].clamp(max=places - 1).unbind(dim=-1)
        index = torch.cat([first * places + second, second * places + first], dim=1)
        edges = (tensors["edge_ids"] * tensors["edge_mask"]).repeat(1, 2)
        empty = edges.new_zeros(len(edges), places * places)
        return nodes, empty.scatter_reduce(1, index, edges, "amax").reshape(-1, places, places)

    def _certain(self, nodes: Int[Tensor, "batch node"], edges: Int[Tensor, "batch node node"]) -> Tensors:
        shown = {
            "node_probability": F.one_hot(nodes, self.node_logits.shape[-1]),
            "edge_probability": F.one_hot(edges, self.edge_logits.shape[-1]),
        }
        return {name: tensor.to(self.node_logits.dtype) for name, tensor in shown.items()}


def _of(logits: Float[Tensor, "*place id"], ids: Int[Tensor, "*place"]) -> Float[Tensor, "*place"]:
    return logits.log_softmax(dim=-1).gather(-1, ids.unsqueeze(-1)).squeeze(-1)


def _off_diagonal(edges: Float[Tensor, "batch node node edge"]) -> Float[Tensor, "node node"]:
    """Return 1 for every pair of two places: no node is joined with itself."""
    return 1 - torch.eye(edges.shape[1], dtype=edges.dtype, device=edges.device)


def _drawn(logits: Float[Tensor, "*place id"], generator: torch.Generator) -> Int[Tensor, "*place"]:
    flat = logits.softmax(dim=-1).flatten(0, -2)
    return torch.multinomial(flat, 1, generator=generator).reshape(logits.shape[:-1])


def _pairs(there: Bool[Tensor, "batch node"]) -> Bool[Tensor, "batch node node"]:
    """Return which pairs of places both hold a node."""
    return there.unsqueeze(1) & there.unsqueeze(2)
