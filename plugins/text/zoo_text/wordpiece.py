"""The tokenizer ``wordpiece``: words, and pieces of those that are rare."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from zoo import UsageError
from zoo_text.tokenizers import SPACE_IN_CJK, UNKNOWN, UNREADABLE, Tokenizer, first_words, text_of_state

if TYPE_CHECKING:
    import tokenizers

INSIDE = "##"  # before a piece that continues a word
MOST_LETTERS = 64  # of a word that is cut in pieces; a longer one is unknown
_INSIDE_FROM = 0xF0000  # code points for private use, in no word


@dataclass(frozen=True)
class WordPieces(Tokenizer):
    """Pieces of words: 0 is padding, 1 any word that the learnt pieces do not spell, the learnt ones follow.

    Words are those of the tokenizer ``words``. Each is cut from its beginning, each time after the longest known piece.
    Pieces that continue a word differ from those that begin one, and are written with ``##``.

    Source: Schuster & Nakajima 2012, "Japanese and Korean Voice Search", in the form of Devlin et al. 2019, arXiv
    1810.04805. Pieces are learnt by their number alone, as byte pairs are, not by likelihood.
    """

    first_word: ClassVar[int] = 2
    fewest_tokens: ClassVar[int] = 3
    learnt: tuple[str, ...] | None = None

    @property
    def token_count(self) -> int:
        """The number of ids, padding and the unknown word included."""
        return self.first_word + len(self.pieces)

    @property
    def words(self) -> Sequence[str]:
        """The learnt pieces."""
        return self.pieces

    def fit(self, texts: Iterable[str], *, length: int, token_count: int) -> WordPieces:
        """Learn letters, at most half of the ids, then join the most frequent pairs until there are ``token_count``.

        Of equally frequent letters those first in the alphabet are learnt. Words with other letters teach nothing.
        """
        from tokenizers import Tokenizer, models, pre_tokenizers, trainers

        most = token_count - self.first_word
        words = Counter(word for text in texts for word in first_words(text, length) if len(word) <= MOST_LETTERS)
        letters: Counter[str] = Counter()
        for word, times in words.items():
            for letter in _spelt(word):
                letters[letter] += times
        ranked = sorted(letters, key=lambda letter: (-letters[letter], letter))[: max(1, most // 2)]
        # A letter inside a word is written as another character: so there are two of each without a prefix, which the
        # package would number by chance.
        alphabet = {letter: letter if len(letter) == 1 else chr(_INSIDE_FROM + n) for n, letter in enumerate(ranked)}
        spelt_by = {character: letter for letter, character in alphabet.items()}
        untrained = Tokenizer(models.BPE())
        untrained.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        trainer = trainers.BpeTrainer(vocab_size=most, min_frequency=2, show_progress=False)
        untrained.train_from_iterator(
            (
                " ".join(["".join(alphabet[letter] for letter in _spelt(word))] * times)
                for word, times in words.items()
                if alphabet.keys() >= set(_spelt(word))
            ),
            trainer,
        )
        found = untrained.get_vocab()
        return WordPieces(
            tuple(_joined(spelt_by[one] for one in piece) for piece in sorted(found, key=found.__getitem__))
        )

    def ids(self, text: str, *, length: int) -> list[int]:
        """Return the ids of the first ``length`` pieces."""
        words = " ".join(first_words(text, length))
        return self._trained.encode(words, add_special_tokens=False).ids[:length]

    def text(self, ids: Iterable[int]) -> str:
        """Return the words with spaces between them, except between CJK characters."""
        pieces = [UNREADABLE if token == UNKNOWN else self.pieces[token - self.first_word] for token in ids if token]
        joined = " ".join(pieces).replace(f" {INSIDE}", "").removeprefix(INSIDE)
        return SPACE_IN_CJK.sub("", joined)

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the pieces as UTF-8 bytes, one per line."""
        return {"pieces": np.frombuffer("\n".join(self.pieces).encode(), dtype=np.uint8).copy()}

    def with_state(self, state: Mapping[str, NDArray[Any]]) -> WordPieces:
        """Return a tokenizer of the pieces that ``state`` holds."""
        joined = text_of_state(state, "pieces", tokenizer="wordpiece")
        return WordPieces(tuple(joined.split("\n")) if joined else ())

    @property
    def pieces(self) -> tuple[str, ...]:
        """What was learnt, in the order of the ids."""
        if self.learnt is None:
            raise UsageError(
                "this text modality has not learnt its pieces yet; use what fit(values) or with_state(state) returns, "
                "or the tokenizer 'bytes', which learns nothing"
            )
        return self.learnt

    @cached_property
    def _trained(self) -> tokenizers.Tokenizer:
        from tokenizers import Tokenizer, models, pre_tokenizers

        vocabulary = {piece: token for token, piece in enumerate(self.pieces, start=self.first_word)}
        unknown = "[UNK]"  # no word has brackets
        model = models.WordPiece(
            {**vocabulary, unknown: UNKNOWN}, unk_token=unknown, max_input_chars_per_word=MOST_LETTERS
        )
        made = Tokenizer(model)
        made.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
        return made


def _spelt(word: str) -> Iterator[str]:
    """Yield the letters of a word, those that do not begin it as they are written inside one."""
    yield word[0]
    yield from (f"{INSIDE}{letter}" for letter in word[1:])


def _joined(letters: Iterable[str]) -> str:
    first, *others = letters
    return first + "".join(letter.removeprefix(INSIDE) for letter in others)
