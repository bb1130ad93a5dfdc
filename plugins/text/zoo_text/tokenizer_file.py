"""The tokenizer ``pretrained``: a ``tokenizer.json``, as the package ``tokenizers`` writes it, read from a folder."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from zoo import DataError, UsageError
from zoo_text.front_characters import END
from zoo_text.tokenizers import CHARACTERS_A_WORD, Tokenizer, text_of_state

if TYPE_CHECKING:
    import tokenizers

KINDS = ("WordPiece", "BPE", "Unigram", "WordLevel")


@dataclass(frozen=True)
class UncasedWordPieces:
    """A file whose texts lose accents and capital letters and are cut into word pieces, as for an uncased BERT.

    ``vocabulary`` has the id of each piece; those that continue a word begin with ``inside``. A word of more than
    ``most_letters`` is ``unknown``. ``before`` and ``after`` are the special tokens around a text.
    """

    vocabulary: Mapping[str, int]
    inside: str
    unknown: int
    most_letters: int
    before: tuple[int, ...]
    after: tuple[int, ...]


@dataclass(frozen=True)
class TokenizerFile(Tokenizer):
    """The ids are those of the file: normaliser, pre-tokenizer, model, special tokens and templates are applied.

    A padded position has the id 0, whatever the file says, and is false in the mask. A longer text is truncated as the
    file's template demands, so the special tokens at its end stay. ``learnt`` is the JSON; ``fit`` learns nothing.
    """

    first_word: ClassVar[int] = 0
    fewest_tokens: ClassVar[int] = 3
    learnt: str | None = None

    @property
    def token_count(self) -> int:
        """The largest id of the file, plus one."""
        return self._token_count

    @property
    def words(self) -> Sequence[str]:
        """The tokens of the file, empty for ids between them that it does not use."""
        return [self.whole.id_to_token(token) or "" for token in range(self._token_count)]

    def fit(self, texts: Iterable[str], *, length: int, token_count: int) -> TokenizerFile:
        """Return itself; raises UsageError if there is no file yet."""
        _ = self._json
        return self

    def ids(self, text: str, *, length: int) -> list[int]:
        """Return the ids of a text, special tokens included, at most ``length``."""
        if length not in self._truncating:
            self._truncating[length] = self._read()
            self._truncating[length].enable_truncation(length)
        found: list[int] = self._truncating[length].encode(_readable(text[: length * CHARACTERS_A_WORD])).ids
        return found

    def reads_all(self, text: str, *, length: int) -> bool:
        """Return whether nothing of the text is truncated."""
        if len(text) > length * CHARACTERS_A_WORD:
            return False
        return len(self.whole.encode(_readable(text)).ids) <= length

    def text(self, ids: Iterable[int]) -> str:
        """Return the text of the ids, without special tokens."""
        found: str = self.whole.decode([int(token) for token in ids])
        return found

    def unknown(self, ids: NDArray[Any]) -> int:
        """Return how many of the ids stand for an unknown word."""
        model = json.loads(self._json)["model"]
        token = model["unk_id"] if "unk_id" in model else self.whole.token_to_id(model.get("unk_token") or "")
        return 0 if token is None else int((ids == token).sum())

    def state(self) -> dict[str, NDArray[Any]]:
        """Return the file as bytes."""
        return {"tokenizer": np.frombuffer(self._json.encode(), dtype=np.uint8).copy()}

    def with_state(self, state: Mapping[str, NDArray[Any]]) -> TokenizerFile:
        """Return a tokenizer of the file that ``state`` holds.

        Raises DataError if it is not the JSON of a tokenizer, or of an unknown kind.
        """
        learnt = text_of_state(state, "tokenizer", tokenizer="pretrained")
        try:
            read = json.loads(learnt)
        except (ValueError, RecursionError) as error:
            raise DataError(
                f"the tokenizer.json of a text modality is not JSON: {error}; fetch or import the model again"
            ) from error
        model = read.get("model") if isinstance(read, dict) else None
        kind = model.get("type") if isinstance(model, dict) else None
        if kind not in KINDS:
            raise DataError(
                f"a tokenizer.json has a model of the type {', '.join(KINDS)}, got {kind!r}; save the tokenizer again "
                "by the package tokenizers, version 0.21 or newer"
            )
        made = TokenizerFile(learnt)
        _ = made.whole
        return made

    @property
    def _json(self) -> str:
        if self.learnt is None:
            raise UsageError(
                "this text modality has no tokenizer.json yet; `zoo import FOLDER` reads one, or use the tokenizer "
                "'bpe', which learns from texts"
            )
        return self.learnt

    @cached_property
    def whole(self) -> tokenizers.Tokenizer:
        """The tokenizer of the package, without padding and truncation."""
        return self._read()

    @cached_property
    def uncased(self) -> UncasedWordPieces | None:
        """The file as the word pieces of an uncased BERT; None if it is anything else, or if there is no file yet."""
        return None if self.learnt is None else _uncased(json.loads(self.learnt))

    @cached_property
    def _token_count(self) -> int:
        return max(self.whole.get_vocab(with_added_tokens=True).values(), default=0) + 1

    @cached_property
    def _truncating(self) -> dict[int, tokenizers.Tokenizer]:
        """The tokenizer by the number of tokens that it truncates to."""
        return {}

    def _read(self) -> tokenizers.Tokenizer:
        """Return the tokenizer of the file, without its own padding and truncation."""
        from tokenizers import Tokenizer

        read = Tokenizer.from_str(self._json)
        read.no_padding()
        read.no_truncation()
        return read


def _readable(text: str) -> str:
    """Return the text with U+FFFD in place of lone surrogates, which UTF-8 cannot express."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _uncased(file: Mapping[str, Any]) -> UncasedWordPieces | None:
    model, normaliser = file["model"], file.get("normalizer") or {}
    accents = normaliser.get("strip_accents")
    around = _around(file.get("post_processor"))
    if (
        model["type"] != "WordPiece"
        or normaliser.get("type") != "BertNormalizer"
        or not (normaliser["clean_text"] and normaliser["lowercase"])
        or accents is False
        or (file.get("pre_tokenizer") or {}).get("type") != "BertPreTokenizer"
        or around is None
        or max(map(max, filter(None, model["vocab"])), default="") >= chr(END)
    ):
        return None
    return UncasedWordPieces(
        model["vocab"],
        model["continuing_subword_prefix"],
        model["vocab"][model["unk_token"]],
        model["max_input_chars_per_word"],
        *around,
    )


def _around(processor: Mapping[str, Any] | None) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """Return the ids of the special tokens before and after a single text; None for another form."""
    kind = (processor or {}).get("type")
    if processor is None:
        return (), ()
    if kind == "BertProcessing":
        return (processor["cls"][1],), (processor["sep"][1],)
    if kind != "TemplateProcessing":
        return None
    ends: tuple[list[int], list[int]] = ([], [])
    behind = 0
    for part in processor["single"]:
        if "Sequence" in part:
            behind += 1
        else:
            ends[min(behind, 1)].extend(processor["special_tokens"][part["SpecialToken"]["id"]]["ids"])
    return (tuple(ends[0]), tuple(ends[1])) if behind == 1 else None
