"""The tokenizer ``words`` as integer arithmetic, so that a graph reads UTF-8 and needs no tokenizer beside it."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor, nn

from zoo_text.front_characters import BREAK, MARK, SINGLE, SPACE, WORD, characters_of
from zoo_text.front_hashing import WordTable
from zoo_text.front_reading import CharacterRows
from zoo_text.front_tables import Table
from zoo_text.tokenizers import STRETCH, UNKNOWN, Words

_CUT = 16  # added to the code of a piece before which a stretch of text is cut for its length


class WordsFront(nn.Module):
    """The ids of the first ``length`` words of each text, as ``Words.ids`` has them, and their mask.

    That holds for every text whose NFKC is that of its characters one by one. Where NFKC joins several characters, as
    an accent that stands alone with its letter, the word is another one here.

    All that is found of a character stands at the places of its bytes, and where nothing is found is zero: no shape
    depends on what a text says.
    """

    cut_first: Tensor

    def __init__(self, words: Words, length: int) -> None:
        super().__init__()
        self.length = length
        characters = characters_of(words.index)
        self.rows = CharacterRows(characters.rows)
        self.most_pieces = characters.codes.shape[1]  # of a character, which are four bytes' pieces
        self.codes = Table(characters.codes.reshape(-1, characters.a_byte))
        self.letters = Table(characters.letters_of.reshape(-1, characters.a_byte))
        first_piece = torch.arange(characters.a_byte) == 0
        self.register_buffer("cut_first", _CUT * first_piece.to(torch.int64), persistent=False)
        self.table = WordTable(words.index, characters.letters, most_letters=STRETCH * self.most_pieces)

    def forward(
        self, utf8: UInt8[Tensor, "batch byte"]
    ) -> tuple[Int[Tensor, "batch word"], Bool[Tensor, "batch word"]]:
        """Return ids and mask."""
        codes, letters = self._pieces(utf8.to(torch.int64))
        kinds = codes % BREAK
        word, single = _ones(kinds == WORD), _ones(kinds == SINGLE)
        none = torch.cat([codes, codes[..., :1]], dim=1) * 0
        before = word.cumsum(1) - word
        begun = before > _at_latest(before, _ones(codes >= BREAK), none)
        starts = word * _ones(~begun) + single
        number = starts.cumsum(1)
        inside = _ones(((kinds == MARK) & begun) | (kinds == WORD) | (kinds == SINGLE)) * _ones(number <= self.length)
        before = inside.cumsum(1) - inside
        offset = before - _at_latest(before, starts, none)
        place = (number - 1).clamp(0, self.length - 1)
        ids = self.table(letters * inside, place, offset, none[..., :1].expand(-1, self.length))
        mask = torch.arange(self.length, device=utf8.device) < starts.sum(1, keepdim=True)
        return ids.clamp(min=UNKNOWN) * _ones(mask), mask

    def _pieces(self, utf8: Int[Tensor, "batch byte"]) -> tuple[Int[Tensor, "batch piece"], Int[Tensor, "batch piece"]]:
        """Return codes and letters."""
        row, place = self.rows(utf8)
        index = row * 4 + place
        codes, letters = self.codes(index), self.letters(index)  # batch, byte, piece of a byte
        begins = _ones(place == 0)
        character = begins.cumsum(1)
        space = _ones(codes[..., 0] == SPACE)
        none = torch.cat([character, character[..., :1]], dim=1) * 0
        since_space = character - _at_latest(character, space, none)
        cut = _ones(since_space % STRETCH == 1) * begins
        return (codes + cut.unsqueeze(2) * self.cut_first).flatten(1), letters.flatten(1)


def _at_latest(
    value: Int[Tensor, "batch place"], marked: Int[Tensor, "batch place"], none: Int[Tensor, "batch place+1"]
) -> Int[Tensor, "batch place"]:
    """Return, at each place, ``value`` at the latest place up to it that is ``marked`` by 1; zero before the first.

    ``none`` are zeros, one more than there are places.
    """
    number = marked.cumsum(1)
    return none.scatter_add(1, number, value * marked).gather(1, number)


def _ones(condition: Bool[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    """Return 1 where the condition holds, 0 elsewhere."""
    return condition.to(torch.int64)
