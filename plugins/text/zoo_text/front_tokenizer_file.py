"""The front of a ``tokenizer.json`` of BERT's kind: word pieces of texts in small letters without accents."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor, nn

from zoo_text.front_characters import BEYOND, END, SINGLE, SPACE, WORD, Normalised, characters_of
from zoo_text.front_wordpieces import PiecesOfWords
from zoo_text.front_words import WordLetters, ones
from zoo_text.tokenizer_file import TokenizerFile, UncasedWordPieces

_SURROGATES = range(0xD800, 0xE000)


class TokenizerFileFront(nn.Module):
    """The ids of each text as ``TokenizerFile.ids`` has them, at most ``length``, and their mask.

    The characters are those that the file's normaliser and pre-tokenizer make of each code point. A special token that
    is spelt out in a text, such as ``[SEP]``, is read as plain text, where the package ``tokenizers`` takes it for the
    token.
    """

    prompt: Tensor

    def __init__(self, file: TokenizerFile, form: UncasedWordPieces, length: int, *, prompt: str = "") -> None:
        """``prompt`` is put before each text."""
        super().__init__()
        self.register_buffer("prompt", torch.tensor([*prompt.encode()], dtype=torch.int64), persistent=False)
        self.length = length
        ids = {piece: token + 1 for piece, token in form.vocabulary.items()}  # 0 is none
        characters = characters_of({piece.removeprefix(form.inside) for piece in ids}, _characters(file))
        self.most = max(length - len(form.before) - len(form.after), 0)
        self.letters = WordLetters(characters, self.most + 1, stretch=0)
        self.pieces = PiecesOfWords(
            ids,
            characters.letters,
            self.most + 1,
            unknown=form.unknown + 1,
            inside=form.inside,
            most_letters=form.most_letters,
        )
        self.before, self.after = ([token + 1 for token in ends] for ends in (form.before, form.after))

    def forward(
        self, utf8: UInt8[Tensor, "batch byte"]
    ) -> tuple[Int[Tensor, "batch piece"], Bool[Tensor, "batch piece"]]:
        """Return ids and mask."""
        codes = torch.cat([self.prompt.expand(utf8.shape[0], -1), utf8.to(torch.int64)], dim=1)
        letters, word, offset, _ = self.letters(codes)
        pieces = self.pieces(letters, word, offset)[..., : self.most]
        none = pieces[..., :1] * 0
        count = ones(pieces > 0).sum(1, keepdim=True)
        ids = torch.cat([*(none + token for token in self.before), pieces, *(none for _ in self.after)], dim=1)
        place = torch.arange(ids.shape[1], device=ids.device)
        for number, token in enumerate(self.after, start=len(self.before)):
            ids = ids + ones(place == count + number) * token
        mask = ids > 0
        return (ids - 1) * ones(mask), mask


@functools.lru_cache(maxsize=4)
def _characters(file: TokenizerFile) -> Normalised:
    """Return the kinds of all code points, and the texts of those that the normaliser of the file changes."""
    normaliser, splitter = file.whole.normalizer, file.whole.pre_tokenizer
    points = {place: point for place, point in enumerate([*range(END + 1), *BEYOND]) if point not in _SURROGATES}
    kinds = np.zeros(max(points) + 1, dtype=np.uint8)
    changed: dict[int, str] = {}
    for place, point in points.items():
        kinds[place] = _kind(splitter, chr(point))
        text = normaliser.normalize_str(chr(point))
        if text != chr(point):
            changed[place] = text
    return kinds, changed


def _kind(splitter: Any, character: str) -> int:
    """Return how a character separates two letters, one on each side of it."""
    parts = [part for part, _ in splitter.pre_tokenize_str(f"a{character}a")]
    return WORD if len(parts) == 1 else SPACE if len(parts) == 2 else SINGLE
