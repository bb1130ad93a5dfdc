"""The decoder ``graph/adjacency``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

import torch
from annotated_types import Ge
from jaxtyping import Float
from torch import Tensor, nn

from zoo import Decoder, Modality, TensorSpec
from zoo_graph.likelihood import IndependentGraph
from zoo_graph.neighbourhoods import graph_modality


class AdjacencyDecoder(Decoder):
    """From a latent to one embedding per place (there are ``max_nodes``), and from these to labels and edges.

    The label of a node, or that there is none, follows from its embedding; the label of an edge, or that there is none,
    from the inner product of two of them, each dimension weighed by the label. A graph of up to ``max_nodes`` of the
    modality fits; it refuses larger ones. Nodes have an order here: that in which the graph lists them.

    Source: the inner product of Kipf & Welling 2016, arXiv 1611.07308, equation 2, weighed by label as in Yang et al.
    2015, arXiv 1412.6575, equation 2; one latent for a whole graph as in Simonovsky & Komodakis 2018, arXiv 1802.03480.
    """

    def __init__(
        self,
        modality: Modality,
        latent_dim: int,
        *,
        width: Annotated[int, Ge(1)] = 256,
        node_width: Annotated[int, Ge(1)] = 32,
    ) -> None:
        super().__init__()
        graphs = graph_modality(modality, "the decoder 'adjacency'")
        self.latent_dim = latent_dim
        self.places = graphs.max_nodes
        self.layers = nn.Sequential(nn.Linear(latent_dim, width), nn.GELU(), nn.Linear(width, self.places * node_width))
        # A product of two embeddings would grow with the square of the latent, until float32 has no digits left for it.
        self.norm = nn.LayerNorm(node_width)
        self.node = nn.Linear(node_width, graphs.node_count)
        self.embedding = nn.Linear(node_width, node_width)
        self.relations = nn.Parameter(1 + 0.1 * torch.randn(graphs.edge_count, node_width))
        self.bias = nn.Parameter(torch.zeros(graphs.edge_count))

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """The probability of each label of each node and edge; id 0 means that there is none."""
        nodes = ("batch", self.places, self.node.out_features)
        edges = ("batch", self.places, self.places, len(self.bias))
        return {
            "node_probability": TensorSpec("float32", nodes, 0, 1),
            "edge_probability": TensorSpec("float32", edges, 0, 1),
        }

    def forward(self, latent: Float[Tensor, "batch latent"]) -> IndependentGraph:
        """Return the distribution over graphs given each latent."""
        hidden = self.norm(self.layers(latent.to(self.bias.dtype)).unflatten(-1, (self.places, -1)))
        embedded = self.embedding(hidden).unsqueeze(1)  # batch, 1, place, width
        weighed = embedded * self.relations[:, None, :] / self.relations.shape[-1] ** 0.5
        logits = (weighed @ embedded.transpose(-1, -2)).movedim(1, -1) + self.bias
        return IndependentGraph(self.node(hidden), logits)
