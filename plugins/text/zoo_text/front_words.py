"""The tokenizer ``words`` as integer arithmetic, so that a graph reads UTF-8 and needs no tokenizer beside it."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor, nn

from zoo_text.front_characters import BREAK, MARK, SINGLE, SPACE, WORD, Characters, characters_of
from zoo_text.front_hashing import WordTable
from zoo_text.front_reading import CharacterRows
from zoo_text.front_tables import Table
from zoo_text.tokenizers import STRETCH, UNKNOWN, Words

_CUT = 16  # added to the code of a piece before which a stretch of text is cut for its length


class WordsFront(nn.Module):
    """The ids of the first ``length`` words of each text, as ``Words.ids`` has them, and their mask."""

    def __init__(self, words: Words, length: int) -> None:
        super().__init__()
        self.length = length
        self.letters = WordLetters(characters_of(words.index), length)
        self.table = WordTable(words.index, self.letters.numbers)

    def forward(
        self, utf8: UInt8[Tensor, "batch byte"]
    ) -> tuple[Int[Tensor, "batch word"], Bool[Tensor, "batch word"]]:
        """Return ids and mask."""
        letters, word, offset, count = self.letters(utf8.to(torch.int64))
        ids = self.table(letters, word, offset, (count * 0).expand(-1, self.length))
        mask = torch.arange(self.length, device=utf8.device) < count
        return ids.clamp(min=UNKNOWN) * ones(mask), mask


class WordLetters(nn.Module):
    """The letters of the first ``length`` words of each text, as the tokenizer ``words`` divides and spells them.

    This is so for every text in the normal form NFKC, which the tensor's spec names, and for other texts if their NFKC
    is that of their characters one by one. A text in any other form would have different words here.

    The results for a character are at the places of its bytes, with zeros elsewhere: no shape depends on the content of
    a text.
    """

    cut_first: Tensor

    def __init__(self, characters: Characters, length: int, *, stretch: int = STRETCH) -> None:
        """Letters of the vocabulary are numbered from 1, any other letter has the last number.

        A stretch of text without a space is cut after every ``stretch`` characters; 0 means never.
        """
        super().__init__()
        self.length, self.stretch = length, stretch
        self.numbers = characters.letters
        self.rows = CharacterRows(characters.rows)
        self.codes = Table(characters.codes.reshape(-1, characters.a_byte))
        self.letters = Table(characters.letters_of.reshape(-1, characters.a_byte))
        first_piece = torch.arange(characters.a_byte) == 0
        self.register_buffer("cut_first", _CUT * first_piece.to(torch.int64), persistent=False)

    def forward(
        self, utf8: Int[Tensor, "batch byte"]
    ) -> tuple[
        Int[Tensor, "batch piece"], Int[Tensor, "batch piece"], Int[Tensor, "batch piece"], Int[Tensor, "batch 1"]
    ]:
        """Return the letters, the word of each, its place in the word, and the number of words in the whole text."""
        codes, letters = self._pieces(utf8)
        kinds = codes % BREAK
        word, single = ones(kinds == WORD), ones(kinds == SINGLE)
        none = torch.cat([codes, codes[..., :1]], dim=1) * 0
        before = word.cumsum(1) - word
        begun = before > _at_latest(before, ones(codes >= BREAK), none)
        starts = word * ones(~begun) + single
        number = starts.cumsum(1)
        inside = ones(((kinds == MARK) & begun) | (kinds == WORD) | (kinds == SINGLE)) * ones(number <= self.length)
        before = inside.cumsum(1) - inside
        offset = before - _at_latest(before, starts, none)
        return letters * inside, (number - 1).clamp(0, self.length - 1), offset, starts.sum(1, keepdim=True)

    def _pieces(self, utf8: Int[Tensor, "batch byte"]) -> tuple[Int[Tensor, "batch piece"], Int[Tensor, "batch piece"]]:
        """Return codes and letters."""
        row, place = self.rows(utf8)
        index = row * 4 + place
        codes, letters = self.codes(index), self.letters(index)  # batch, byte, piece of a byte
        if not self.stretch:
            return codes.flatten(1), letters.flatten(1)
        begins = ones(place == 0)
        character = begins.cumsum(1)
        space = ones(codes[..., 0] == SPACE)
        none = torch.cat([character, character[..., :1]], dim=1) * 0
        since_space = character - _at_latest(character, space, none)
        cut = ones(since_space % self.stretch == 1) * begins
        return (codes + cut.unsqueeze(2) * self.cut_first).flatten(1), letters.flatten(1)


def _at_latest(
    value: Int[Tensor, "batch place"], marked: Int[Tensor, "batch place"], none: Int[Tensor, "batch place+1"]
) -> Int[Tensor, "batch place"]:
    """Return, for each place, ``value`` at the last place up to it that is ``marked`` with 1; zero if there is none.

    ``none`` are zeros, one more than there are places.
    """
    number = marked.cumsum(1)
    return none.scatter_add(1, number, value * marked).gather(1, number)


def ones(condition: Bool[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """Return 1 where the condition holds, 0 elsewhere."""
    return condition.to(torch.int64)
