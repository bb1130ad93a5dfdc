"""Encoders of text: a bag of embeddings, and a small transformer."""

from __future__ import annotations

from typing import Annotated

import torch
from annotated_types import Ge, Interval
from jaxtyping import Bool, Float
from torch import Tensor, nn

from zoo import Encoder, Modality, SpecError, Tensors, modality_of, self_attention
from zoo_text.modality import TextModality

# Small enough that a few steps of the optimiser outweigh a rare word's initial embedding.
EMBEDDING_SCALE = 0.02


class BagOfEmbeddings(Encoder):
    """The mean of a text's token embeddings, normalised, through ``depth`` layers. Blind to the order of words.

    Source: Iyyer et al. 2015, "Deep Unordered Composition Rivals Syntactic Methods for Text Classification".
    """

    def __init__(
        self,
        modality: Modality,
        *,
        width: Annotated[int, Ge(1)] = 128,
        depth: Annotated[int, Ge(0)] = 1,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
        train_embedding: bool = True,
    ) -> None:
        super().__init__()
        text = modality_of(TextModality, "text", modality, component="the encoder 'bag-of-embeddings'")
        self.feature_dim = width
        self.embedding = token_embedding(text, width, train_embedding=train_embedding)
        self.norm = nn.LayerNorm(width)
        layers = [(nn.Linear(width, width), nn.GELU(), nn.Dropout(dropout)) for _ in range(depth)]
        self.layers = nn.Sequential(*(module for layer in layers for module in layer))

    def forward(self, tensors: Tensors) -> Float[Tensor, "batch feature"]:
        """Return one row of features per text."""
        mean = masked_mean(self.embedding(tensors["ids"]), tensors["mask"])
        features: Tensor = self.layers(self.norm(mean))
        return features


class TransformerEncoder(Encoder):
    """A pre-norm transformer with learned positions; the features are those of a class token.

    The class token is put in front of every text, so that a completely masked row has a token to attend to.

    Source: Vaswani et al. 2017, arXiv 1706.03762; the norm inside the residual branch as in Xiong et al. 2020,
    arXiv 2002.04745, figure 1b; the class token as in Devlin et al. 2019, arXiv 1810.04805.
    """

    def __init__(
        self,
        modality: Modality,
        *,
        width: Annotated[int, Ge(1)] = 128,
        depth: Annotated[int, Ge(0)] = 2,
        heads: Annotated[int, Ge(1)] = 4,
        dropout: Annotated[float, Interval(ge=0, lt=1)] = 0.0,
        train_embedding: bool = True,
    ) -> None:
        super().__init__()
        text = modality_of(TextModality, "text", modality, component="the encoder 'transformer'")
        if width % heads:
            raise SpecError(f"the option 'width' is a multiple of 'heads', got width {width} and heads {heads}")
        self.feature_dim = width
        self.embedding = token_embedding(text, width, train_embedding=train_embedding)
        self.class_token = nn.Parameter(torch.randn(width) * EMBEDDING_SCALE)
        self.positions = nn.Parameter(torch.randn(text.max_length, width) * EMBEDDING_SCALE)
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList(_Block(width, heads, dropout) for _ in range(depth))
        self.norm = nn.LayerNorm(width)

    def forward(self, tensors: Tensors) -> Float[Tensor, "batch feature"]:
        """Return one row of features per text."""
        ids, mask = tensors["ids"], tensors["mask"]
        tokens = self.embedding(ids) + self.positions[: ids.shape[1]]
        first = self.class_token.expand(ids.shape[0], 1, -1)
        hidden = self.dropout(torch.cat([first, tokens], dim=1))
        seen = torch.cat([torch.ones_like(mask[:, :1]), mask], dim=1)
        for block in self.blocks:
            hidden = block(hidden, seen)
        features: Tensor = self.norm(hidden[:, 0])
        return features


class _Block(nn.Module):
    """Self-attention, then two layers, each inside a residual branch."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = _SelfAttention(width, heads)
        self.layers_norm = nn.LayerNorm(width)
        self.layers = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.dropout = nn.Dropout(dropout)

    def forward(
        self, hidden: Float[Tensor, "batch token width"], seen: Bool[Tensor, "batch token"]
    ) -> Float[Tensor, "batch token width"]:
        """Return the hidden states of the next layer."""
        mixed = hidden + self.dropout(self.attention(self.attention_norm(hidden), seen))
        refined: Tensor = mixed + self.dropout(self.layers(self.layers_norm(mixed)))
        return refined


class _SelfAttention(nn.Module):
    """Attention of each token to the tokens that are seen."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.projection = nn.Linear(width, 3 * width)
        self.output = nn.Linear(width, width)

    def forward(
        self, hidden: Float[Tensor, "batch token width"], seen: Bool[Tensor, "batch token"]
    ) -> Float[Tensor, "batch token width"]:
        """Return the mixed values."""
        joined: Tensor = self.output(self_attention(self.projection(hidden), self.heads, seen))
        return joined


def masked_mean(
    embedded: Float[Tensor, "batch token width"], mask: Bool[Tensor, "batch token"]
) -> Float[Tensor, "batch width"]:
    """Return the mean over the unmasked tokens; zero if there are none."""
    weight = mask.to(embedded.dtype).unsqueeze(-1)
    return (embedded * weight).sum(dim=1) / weight.sum(dim=1).clamp(min=1)


def token_embedding(modality: TextModality, width: int, *, train_embedding: bool = True) -> nn.Embedding:
    """Return the table of a text's embeddings, one row per id: the modality's vectors, or else small random ones.

    Without ``train_embedding`` the table is not trained; words without a vector then keep their small random one.

    Raises SpecError if the vectors have another size than ``width``, or if the table is not to be trained but there are
    no vectors.
    """
    if not train_embedding and modality.vectors is None:
        raise SpecError(
            "the option 'train_embedding' can be false only if the modality starts from vectors, got none; give the "
            "modality the option 'vectors', or train the embedding"
        )
    embedding = nn.Embedding(modality.token_count, width)
    with torch.no_grad():
        embedding.weight.normal_(std=EMBEDDING_SCALE)
        # All words that training never meets become the unknown word: it must not move a text's features.
        embedding.weight[: modality.first_word] = 0
        if modality.pretrained is not None:
            ids, vectors = torch.from_numpy(modality.pretrained.ids), torch.from_numpy(modality.pretrained.vectors)
            if vectors.shape[1] != width:
                raise SpecError(
                    f"an embedding of width {width} cannot start from {modality.vectors}, whose vectors have "
                    f"{vectors.shape[1]} numbers; set the width to {vectors.shape[1]}"
                )
            embedding.weight[ids] = vectors.to(embedding.weight)
    embedding.weight.requires_grad_(train_embedding)
    return embedding
