"""The front of texts: turns UTF-8 into the ids and the mask of the modality ``text``, inside a graph."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor, nn

from zoo import Front, SpecError, Tensors
from zoo_text.bpe import BytePairs
from zoo_text.front_pairs import BytePairsFront
from zoo_text.front_reading import used
from zoo_text.front_tokenizer_file import TokenizerFileFront
from zoo_text.front_wordpieces import WordPiecesFront
from zoo_text.front_words import WordsFront
from zoo_text.modality import TextModality
from zoo_text.tokenizer_file import TokenizerFile, UncasedWordPieces
from zoo_text.tokenizers import Bytes, Words
from zoo_text.wordpiece import WordPieces

Read = tuple[Int[Tensor, "batch token"], Bool[Tensor, "batch token"]]


class TextFront(Front):
    """The modality's tokenizer as plain operators.

    Raises SpecError for another tokenizer.
    """

    def __init__(self, modality: TextModality) -> None:
        super().__init__()
        self.tokenizer = _front_of(modality)

    def forward(self, tensors: Tensors) -> Tensors:
        """Return ``ids`` and ``mask`` for ``utf8``."""
        ids, mask = self.tokenizer(tensors["utf8"])
        return {"ids": ids, "mask": mask}


class BytesFront(nn.Module):
    """The ids of each text's bytes, as ``Bytes.ids`` has them, and their mask; zeros at a text's end are padding."""

    def forward(self, utf8: UInt8[Tensor, "batch byte"]) -> Read:
        """Return ids and mask, as long as ``utf8``."""
        codes = utf8.to(torch.int64)
        there = used(codes)
        return (codes + 1) * there, there > 0


def _front_of(modality: TextModality) -> nn.Module:
    match modality.reader:
        case Words() as words:
            return WordsFront(words, modality.max_length)
        case WordPieces() as pieces:
            return WordPiecesFront(pieces, modality.max_length)
        case Bytes():
            return BytesFront()
        case BytePairs() as pairs:
            return BytePairsFront(pairs, modality.max_length)
        case TokenizerFile(uncased=UncasedWordPieces() as form) as file:
            return TokenizerFileFront(file, form, modality.max_length, prompt=modality.prompt)
    raise SpecError(f"the tokenizer {modality.tokenizer!r} has no front; give the graph its tensors")
