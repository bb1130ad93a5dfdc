"""The modality ``text``: strings as padded token ids and a mask."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

import numpy as np
from annotated_types import Ge
from numpy.typing import NDArray

from zoo import Axis, DataError, SpecError, TensorSpec, as_utf8, from_utf8, listed
from zoo_text.bpe import BytePairs
from zoo_text.drawing import picture_of
from zoo_text.hard_texts import hard_bytes
from zoo_text.pretrained import Pretrained, pretrained_vectors
from zoo_text.tokenizer_file import TokenizerFile
from zoo_text.tokenizers import CHARACTERS_A_WORD, NORMAL_FORM, Bytes, Tokenizer, Words
from zoo_text.wordpiece import WordPieces

if TYPE_CHECKING:
    from PIL.Image import Image

TOKENIZERS: Mapping[str, Callable[[], Tokenizer]] = {
    "words": Words,
    "wordpiece": WordPieces,
    "bpe": BytePairs,
    "bytes": Bytes,
    "pretrained": TokenizerFile,
}
MOST_WORDS_SHOWN = 8
# How much of a text a graph reads.
MOST_BYTES_A_TOKEN = {"words": 256, "wordpiece": 256, "bpe": 16, "bytes": 1, "pretrained": 16}


@dataclass(frozen=True)
class TextModality:
    """Text of any language, as ids and a mask.

    ``tokenizer`` is ``words`` (whole words and single CJK characters, learnt by ``fit``), ``wordpiece`` (the same
    words, the rare ones in pieces, learnt by ``fit``), ``bpe`` (byte pairs: pieces of any text, learnt by ``fit``, none
    unknown), ``bytes`` (UTF-8, nothing to learn) or ``pretrained`` (a ``tokenizer.json``, which ``zoo import`` reads).
    Longer texts are truncated to ``max_length`` tokens. ``vocabulary_size`` is the largest number of ids that a learnt
    tokenizer may use; two of them stand for padding and for unknown words. ``prompt`` is put before each text that a
    pretrained tokenizer reads.

    ``vectors`` is a word2vec file that words start from, binary or text: a path, or ``package:NAME/PATH`` inside an
    installed package. ``fit`` reads it; the learnt vocabulary is the same as without it. Words that are in the file,
    spelt as ``fit`` learns them (case folded, one CJK character each), start from its vectors; all other words start
    from random ones. A fitted copy holds the vectors, but its ``state`` does not: a checkpoint and the runtime never
    need the file.

    Raises SpecError if ``vocabulary_size`` is too small for the tokenizer, if ``vectors`` is given for another
    tokenizer than ``words``, or ``prompt`` for another than ``pretrained``.
    """

    length_option: ClassVar[str] = "max_length"
    vocabulary_option: ClassVar[str] = "vocabulary_size"

    tokenizer: Literal["words", "wordpiece", "bpe", "bytes", "pretrained"] = "words"
    max_length: Annotated[int, Ge(1)] = 32
    vocabulary_size: Annotated[int, Ge(3)] = 8192
    vectors: str | None = None
    prompt: str = ""
    _fitted: Tokenizer | None = field(default=None, repr=False)
    _pretrained: Pretrained | None = field(default=None, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Check that the options fit each other."""
        least = self.reader.fewest_tokens
        if self.vocabulary_size < least:
            raise SpecError(
                f"the option 'vocabulary_size' is at least {least} for this 'tokenizer', got vocabulary_size "
                f"{self.vocabulary_size} and tokenizer {self.tokenizer!r}"
            )
        if self.vectors is not None and self.tokenizer != "words":
            raise SpecError(
                f"the option 'vectors' works only with the 'tokenizer' words, got vectors {self.vectors!r} and "
                f"tokenizer {self.tokenizer!r}; drop one of the two"
            )
        if self.prompt and self.tokenizer != "pretrained":
            raise SpecError(
                f"the option 'prompt' works only with the 'tokenizer' pretrained, got prompt {self.prompt!r:.80} and "
                f"tokenizer {self.tokenizer!r}; drop one of the two"
            )

    @property
    def token_count(self) -> int:
        """The number of ids in use, padding included: the rows of an embedding table."""
        return self.reader.token_count

    @property
    def first_word(self) -> int:
        """The smallest id with a text; those below are padding and, except for ``bytes``, the unknown word."""
        return self.reader.first_word

    @property
    def tokens(self) -> Sequence[str]:
        """The word or piece of each id; empty for ids without a text."""
        return ["" for _ in range(self.first_word)] + list(self.reader.words)

    @property
    def pretrained(self) -> Pretrained | None:
        """The vectors that words start from: those of a copy that ``fit`` returned, if there is a file of vectors."""
        return self._pretrained

    @property
    def tensors(self) -> Mapping[str, TensorSpec]:
        """``ids``, zero where padded, and ``mask``, true where a token stands."""
        return {
            "ids": TensorSpec("int64", ("batch", "length"), 0, self.token_count - 1),
            "mask": TensorSpec("bool", ("batch", "length"), 0, 1),
        }

    @property
    def axes(self) -> Mapping[str, Axis]:
        """``length`` in tokens."""
        return {"length": Axis(1, self.max_length, padded=True)}

    @property
    def raw_tensors(self) -> Mapping[str, TensorSpec]:
        """``utf8``: the bytes of each text, with zeros after them; nothing if no graph can read the tokenizer's texts.

        Of pretrained tokenizers a graph takes the place of word pieces without capital letters and accents, as BERT's.
        """
        if not self._in_graphs:
            return {}
        form = NORMAL_FORM if self.tokenizer in ("words", "wordpiece") else "NFC"
        return {"utf8": TensorSpec("uint8", ("batch", "bytes"), 0, 255, normal_form=form)}

    @property
    def raw_axes(self) -> Mapping[str, Axis]:
        """``bytes``: the number of bytes that are read of a text, which bounds the time per text."""
        if not self._in_graphs:
            return {}
        return {"bytes": Axis(1, self.max_length * MOST_BYTES_A_TOKEN[self.tokenizer], padded=True)}

    def to_raw_arrays(self, values: Sequence[str]) -> Mapping[str, NDArray[Any]]:
        """Return the bytes of each text, truncated to the number that is read.

        Raises DataError if a value is not a text.
        """
        return {"utf8": as_utf8(values, self.raw_axes["bytes"].largest, self.raw_tensors["utf8"].normal_form)}

    def from_raw_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> Sequence[str]:
        """Return texts; invalid UTF-8 becomes the replacement character."""
        return from_utf8(arrays["utf8"])

    def raw_example(
        self, batch: int, sizes: Mapping[str, int], *, generator: np.random.Generator
    ) -> Mapping[str, NDArray[Any]]:
        """Draw texts that are hard to read, of unequal length; the first row fills the axis."""
        size = sizes["bytes"]
        words = [self.reader.text([token]) for token in range(self.first_word, self.token_count)]
        rows = [
            hard_bytes(words, size if row == 0 else int(generator.integers(size + 1)), generator)
            for row in range(batch)
        ]
        return {"utf8": np.stack([np.frombuffer(row.ljust(size, b"\0"), dtype=np.uint8) for row in rows])}

    def fit(self, values: Iterable[str]) -> TextModality:
        """Return a copy that knows the most frequent words, or byte pairs, of ``values``.

        Raises SpecError if the file of ``vectors`` cannot be read or has vectors for none of the words.
        """
        fitted = self.reader.fit(
            _texts(listed(values, "texts", once=True)), length=self.max_length, token_count=self.vocabulary_size
        )
        return replace(self, _fitted=fitted, _pretrained=self._vectors_for(fitted))

    def state(self) -> Mapping[str, NDArray[Any]]:
        """Return the vocabulary as UTF-8 bytes: words or pieces, one per line, the JSON of ``bpe``, or nothing."""
        return self.reader.state()

    def with_state(self, state: Mapping[str, NDArray[Any]]) -> TextModality:
        """Return a copy with the vocabulary of an earlier fit, and without vectors to start from."""
        return replace(self, _fitted=self.reader.with_state(state), _pretrained=None)

    def to_arrays(self, values: Sequence[str]) -> Mapping[str, NDArray[Any]]:
        """Return ids and mask, as long as the longest text, at least 1; an empty text is a wholly masked row.

        Raises DataError if a value is not a text, and UsageError if a single text is given in place of a list, or if
        the words have not been learnt.
        """
        reader, prompt = self.reader, self.prompt
        rows = [reader.ids(prompt + text, length=self.max_length) for text in _texts(listed(values, "texts"))]
        length = max((len(row) for row in rows), default=0) or 1
        ids = np.zeros((len(rows), length), dtype=np.int64)
        mask = np.zeros((len(rows), length), dtype=np.bool_)
        for position, row in enumerate(rows):
            ids[position, : len(row)] = row
            mask[position, : len(row)] = True
        return {"ids": ids, "mask": mask}

    def truncated(self, values: Sequence[str], arrays: Mapping[str, NDArray[Any]]) -> list[int]:
        """Return the positions of the truncated texts: more than ``max_length`` tokens, or too many bytes."""
        full = arrays["mask"].sum(axis=1) == self.max_length
        return [
            place
            for place, text in enumerate(values)
            if (full[place] or len(text) > CHARACTERS_A_WORD)
            and not self.reader.reads_all(self.prompt + text, length=self.max_length)
        ]

    def unknown(self, arrays: Mapping[str, NDArray[Any]]) -> tuple[int, int]:
        """Return the number of unknown words, and the number of all tokens."""
        tokens = arrays["ids"][arrays["mask"]]
        return self.reader.unknown(tokens), len(tokens)

    def from_arrays(self, arrays: Mapping[str, NDArray[Any]]) -> Sequence[str]:
        """Return texts, from ``ids`` and ``mask`` or from the ``word_probability`` of a decoder.

        From probabilities, the words at least half as probable as the best are returned, best first.
        """
        if "word_probability" in arrays:
            return [self._most_probable(row) for row in arrays["word_probability"]]
        rows = zip(arrays["ids"], arrays["mask"], strict=True)
        return [self.reader.text(int(token) for token in ids[mask]) for ids, mask in rows]

    def example(
        self, batch: int, sizes: Mapping[str, int], *, generator: np.random.Generator
    ) -> Mapping[str, NDArray[Any]]:
        """Draw random tokens, rows of unequal length; the first row fills the axis."""
        length = sizes["length"]
        lengths = generator.integers(1, length + 1, size=batch)
        lengths[:1] = length
        mask = np.arange(length) < lengths[:, None]
        ids = generator.integers(1, self.token_count, size=(batch, length))
        return {"ids": ids * mask, "mask": mask}

    def draw(self, value: str) -> Image:
        """Return a picture of the text."""
        return picture_of(value)

    @property
    def reader(self) -> Tokenizer:
        """The tokenizer, fitted if ``fit`` or ``with_state`` was called."""
        return TOKENIZERS[self.tokenizer]() if self._fitted is None else self._fitted

    @property
    def _in_graphs(self) -> bool:
        return not isinstance(self.reader, TokenizerFile) or self.reader.uncased is not None

    def _vectors_for(self, fitted: Tokenizer) -> Pretrained | None:
        if self.vectors is None or not isinstance(fitted, Words):
            return None
        try:
            return pretrained_vectors(self.vectors, fitted.index)
        except DataError as error:  # the option is wrong, none of the samples
            raise SpecError(f"the option 'vectors': {error}") from error

    def _most_probable(self, probability: NDArray[Any]) -> str:
        best = [int(token) for token in np.argsort(-probability, kind="stable") if token >= self.first_word]
        shown = [token for token in best[:MOST_WORDS_SHOWN] if probability[token] * 2 >= probability[best[0]]]
        return " ".join(self.reader.text([token]) for token in shown)


def _texts(values: Iterable[Any]) -> Iterator[str]:
    for position, value in enumerate(values):
        if not isinstance(value, str):
            advice = "; decode it first, as by value.decode()" if isinstance(value, bytes | bytearray) else ""
            raise DataError(
                f"value {position} is {value!r:.80}, of type {type(value).__name__}; expected text (a str){advice}"
            )
        yield value
