"""The tokenizer ``words`` as integer arithmetic, so that a graph reads UTF-8 and needs no tokenizer beside it."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int, UInt8
from torch import Tensor, nn

from zoo_text.front_characters import BLOCK, BREAK, END, LETTER, MARK, SINGLE, SPACE, WORD, characters_of
from zoo_text.front_hashing import WordTable
from zoo_text.tokenizers import PADDING, STRETCH, UNKNOWN, Words

_FOLLOWING = 64  # a byte that goes on with a character holds six bits of it


class WordsFront(nn.Module):
    """The ids of the first ``length`` words of each text, as ``Words.ids`` has them, and their mask.

    That holds for every text whose NFKC is that of its characters one by one; of accents that stand as characters of
    their own it does not, where NFKC would join them with their letter.

    All that is found of a character stands at the place of one of its bytes, and what a byte does not need is zero: no
    shape depends on what a text says.
    """

    def __init__(self, words: Words, length: int) -> None:
        super().__init__()
        self.length = length
        characters = characters_of(words.index)
        self.a_byte = characters.a_byte
        self.a_character = characters.pieces.shape[1]
        self.table = WordTable(words.index, characters.letters, most_letters=STRETCH * self.a_character)
        for name, array in (
            ("stage", characters.stage),
            ("blocks", characters.blocks),
            ("pieces", characters.pieces),
        ):
            self.register_buffer(name, torch.from_numpy(array.reshape(-1)), persistent=False)

    def forward(
        self, utf8: UInt8[Tensor, "batch byte"]
    ) -> tuple[Int[Tensor, "batch word"], Bool[Tensor, "batch word"]]:
        """Return ids and mask."""
        letter, place, offset, count = self._words(*self._pieces(utf8.to(torch.int64)))
        found = self.table(letter, place, offset, self.length)
        mask = torch.arange(self.length, device=utf8.device) < count.unsqueeze(1)
        known = torch.where(found > 0, found, torch.full_like(found, UNKNOWN))
        return torch.where(mask, known, torch.full_like(found, PADDING)), mask

    def _pieces(
        self, utf8: Int[Tensor, "batch byte"]
    ) -> tuple[Int[Tensor, "batch piece"], Bool[Tensor, "batch piece"]]:
        """Return the pieces of each text, and where a stretch without a space is cut for its length."""
        code, place = _decoded(utf8)
        block = _looked_up(self.stage, code // BLOCK)
        row = _looked_up(self.blocks, block * BLOCK + code % BLOCK)
        lead = (torch.arange(utf8.shape[1], device=utf8.device) - place).clamp(min=0)
        first = row.gather(1, lead) * self.a_character + place * self.a_byte
        ahead = torch.arange(self.a_byte, device=utf8.device)
        pieces = _looked_up(self.pieces, first.unsqueeze(2) + ahead)  # batch, byte, piece
        leads = (place == 0).to(torch.int64)
        number = leads.cumsum(1)
        space = (pieces[:, :, 0] == SPACE).to(torch.int64)
        since_space = number - _at_latest(number, space)
        cut = (since_space % STRETCH == 1) & (place == 0)
        return pieces.flatten(1), (cut.unsqueeze(2) & (ahead == 0)).flatten(1)

    def _words(
        self, pieces: Int[Tensor, "batch piece"], cut: Bool[Tensor, "batch piece"]
    ) -> tuple[
        Int[Tensor, "batch piece"], Int[Tensor, "batch piece"], Int[Tensor, "batch piece"], Int[Tensor, " batch"]
    ]:
        """Return of each piece its letter, its word's number and its place in the word; and the number of words.

        A piece of no word, or of one that is not read, has the letter 0.
        """
        kind = pieces % BREAK
        word, single = (kind == WORD).to(torch.int64), (kind == SINGLE).to(torch.int64)
        broken = (pieces % LETTER >= BREAK) | cut | (kind == SINGLE)
        letters = word.cumsum(1) - word  # before the piece
        begun = letters > _at_latest(letters, broken.to(torch.int64))
        starts = word * (~begun).to(torch.int64) + single
        number = starts.cumsum(1)
        of_word = (kind == WORD) | (kind == SINGLE) | ((kind == MARK) & begun)
        inside = (of_word & (number <= self.length)).to(torch.int64)
        before = inside.cumsum(1) - inside
        offset = before - _at_latest(before, starts)
        return pieces // LETTER * inside, (number - 1).clamp(0, self.length - 1), offset, number[:, -1]


def _decoded(utf8: Int[Tensor, "batch byte"]) -> tuple[Int[Tensor, "batch byte"], Int[Tensor, "batch byte"]]:
    """Return the code point that begins at each byte, at most ``END``, and each byte's place in its character."""
    none = torch.zeros_like(utf8[:, :1])
    bits = torch.cat([utf8 % _FOLLOWING, none, none, none], dim=1)
    second, third, fourth = bits[:, 1:-2], bits[:, 2:-1], bits[:, 3:]
    two = (utf8 - 0xC0) * _FOLLOWING + second
    three = ((utf8 - 0xE0) * _FOLLOWING + second) * _FOLLOWING + third
    four = (((utf8 - 0xF0) * _FOLLOWING + second) * _FOLLOWING + third) * _FOLLOWING + fourth
    short = torch.where(utf8 < 0x80, utf8, two)
    code = torch.where(utf8 < 0xE0, short, torch.where(utf8 < 0xF0, three, four))
    follows = (utf8 // _FOLLOWING == 2).to(torch.int64)
    around = torch.cat([none, none, follows, none, none, none], dim=1)
    place = follows * (1 + around[:, 1:-4] * (1 + around[:, :-5]))
    # How many bytes go on with what begins here, against how many it says.
    after = around[:, 3:-2] * (1 + around[:, 4:-1] * (1 + around[:, 5:]))
    said = (utf8 >= 0xC0).to(torch.int64) + (utf8 >= 0xE0).to(torch.int64) + (utf8 >= 0xF0).to(torch.int64)
    return torch.where(after >= said, code, torch.full_like(code, END)).clamp(0, END), place


def _at_latest(value: Int[Tensor, "batch place"], marked: Int[Tensor, "batch place"]) -> Int[Tensor, "batch place"]:
    """Return, at each place, ``value`` at the latest place up to it that is ``marked`` by 1; zero before the first."""
    number = marked.cumsum(1)
    none = torch.zeros_like(value[:, :1])
    values = torch.cat([torch.zeros_like(value), none], dim=1).scatter_add(1, number, value * marked)
    return values.gather(1, number)


def _looked_up(table: Tensor, index: Int[Tensor, "*shape"]) -> Int[Tensor, "*shape"]:
    return table[index].to(torch.int64)
