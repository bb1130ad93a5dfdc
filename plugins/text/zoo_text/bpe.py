"""The tokenizer ``bpe``: pieces of words that ``fit`` learns, down to single bytes, so no text is unknown."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from zoo import DataError, UsageError, normalised
from zoo_text.tokenizers import UNKNOWN, UNREADABLE, Tokenizer, text_of_state

if TYPE_CHECKING:
    import tokenizers

LONGEST_TOKEN_BYTES = 32


@dataclass(frozen=True)
class BytePairs(Tokenizer):
    """Byte pair encoding of UTF-8: 0 is padding, 1 is unused, then come the bytes and the pieces that ``fit`` joined.

    Decoding the ids of a text gives the text in the normal form NFC; nothing else is changed. ``learnt`` is the JSON
    of the package ``tokenizers``, whose ids are smaller by two.

    Source: Sennrich et al. 2016, arXiv 1508.07909; bytes in place of characters as in Radford et al. 2019, "Language
    Models are Unsupervised Multitask Learners", section 2.2.
    """

    first_word: ClassVar[int] = 2
    fewest_tokens: ClassVar[int] = 258
    learnt: str | None = None

    @property
    def token_count(self) -> int:
        """The number of ids, padding and the unused one included."""
        return self.first_word + self._trained.get_vocab_size()

    @property
    def words(self) -> Sequence[str]:
        """The bytes and the joined pieces, in the letters that stand for bytes."""
        return [self._trained.id_to_token(token) or "" for token in range(self._trained.get_vocab_size())]

    def fit(self, texts: Iterable[str], *, length: int, token_count: int) -> BytePairs:
        """Join the most frequent pairs, again and again, until there are ``token_count`` ids or no pair is left."""
        from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

        untrained = Tokenizer(models.BPE())
        untrained.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        untrained.decoder = decoders.ByteLevel()
        trainer = trainers.BpeTrainer(
            vocab_size=token_count - self.first_word,
            min_frequency=2,
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            max_token_length=LONGEST_TOKEN_BYTES,
        )
        untrained.train_from_iterator((_readable(text, length) for text in texts), trainer)
        return BytePairs(untrained.to_str())

    def ids(self, text: str, *, length: int) -> list[int]:
        """Return the ids of the first ``length`` pieces."""
        encoded = self._trained.encode(_readable(text, length))
        return [token + self.first_word for token in encoded.ids[:length]]

    def text(self, ids: Iterable[int]) -> str:
        """Return the text; a character that is cut in two becomes the replacement character."""
        runs = groupby((token for token in ids if token), key=lambda token: token == UNKNOWN)
        return "".join(
            UNREADABLE * len(list(run))
            if unknown
            else self._trained.decode([token - self.first_word for token in run], skip_special_tokens=False)
            for unknown, run in runs
        )

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the JSON as UTF-8 bytes."""
        return {"tokenizer": np.frombuffer(self._learnt.encode(), dtype=np.uint8).copy()}

    def with_state(self, state: Mapping[str, NDArray[Any]]) -> BytePairs:
        """Return a tokenizer of the JSON that ``state`` holds."""
        read = BytePairs(text_of_state(state, "tokenizer", tokenizer="bpe"))
        _ = read._trained
        return read

    @property
    def _learnt(self) -> str:
        if self.learnt is None:
            raise UsageError(
                "this text modality has not learnt its byte pairs yet; use what fit(values) or with_state(state) "
                "returns, or the tokenizer 'bytes', which learns nothing"
            )
        return self.learnt

    @cached_property
    def _trained(self) -> tokenizers.Tokenizer:
        from tokenizers import Tokenizer

        learnt = self._learnt
        try:
            json.loads(learnt)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"the state 'tokenizer' of a text modality is not the JSON of a tokenizer: {error}; fetch or train the "
                "model again"
            ) from error
        return Tokenizer.from_str(learnt)


def _readable(text: str, length: int) -> str:
    """Return the part of a text that its first ``length`` pieces can reach, in the normal form NFC."""
    return normalised(text, most=length * LONGEST_TOKEN_BYTES)
