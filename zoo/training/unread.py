"""How much of its data a model does not see: truncated values and unknown tokens; and which options to change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoo.errors import DataError
from zoo.models.batches import Rows, RowsInMemory, readable, to_batch
from zoo.modules import Batch
from zoo.offers import TellsLimits, Truncates, truncated_rows
from zoo.protocols import Modality, Sample

# Rows of data that are read as they are needed.
_LOOKED_AT = 256


@dataclass(frozen=True)
class Unread:
    """The data of one input that are left out: ``truncated`` values, and ``unknown`` tokens.

    ``options`` are the keys of the recipe that limit the length of a value and the number of known tokens, in this
    order, each with its value. A key is empty if there is no such option.
    """

    values: int
    truncated: int
    tokens: int
    unknown: int
    options: tuple[tuple[str, Any], tuple[str, Any]]

    def written(self) -> dict[str, Any]:
        """Return it in the form that the log takes."""
        (length, longest), (vocabulary, known) = self.options
        found: dict[str, Any] = {"values": self.values, "truncated": self.truncated}
        if self.tokens:
            found |= {"tokens": self.tokens, "unknown": self.unknown}
        return {**found, "options": {key: value for key, value in ((length, longest), (vocabulary, known)) if key}}

    def told(self, name: str) -> Iterator[str]:
        """Yield a sentence for each kind of data left out of the input ``name``, with the option to change."""
        length, vocabulary = self.options
        if self.truncated:
            cut = f"{self.truncated} of {self.values} training values are truncated"
            yield f"{name}: {cut}{_advice(*length)}"
        if self.unknown:
            yield f"{name}: {self.unknown / self.tokens:.1%} of {self.tokens} tokens are unknown{_advice(*vocabulary)}"


def unread(samples: Sequence[Sample], rows: Rows, modalities: Mapping[str, Modality]) -> dict[str, Unread]:
    """Return, by input, the data left out of the samples in ``rows``; if rows are read on demand, of a first part.

    Inputs that are read completely are not listed.
    """
    asked = {name: one for name, one in modalities.items() if isinstance(one, Truncates | TellsLimits)}
    if not asked:
        return {}
    samples, batch = _read(samples, rows, modalities, asked)
    found = {}
    for name, modality in asked.items():
        there = batch.present[name].numpy()
        values = [sample.inputs[name] for sample in samples if sample.inputs.get(name) is not None]
        arrays = {key: tensor.numpy()[there] for key, tensor in batch.inputs[name].items()}
        cut, unknown, tokens = len(truncated_rows(modality, values, arrays)), 0, 0
        options = (("", None), ("", None))
        if isinstance(modality, TellsLimits):
            unknown, tokens = modality.unknown(arrays)
            length, vocabulary = modality.length_option, modality.vocabulary_option
            options = (_option(modality, name, length), _option(modality, name, vocabulary))
        if cut or unknown:
            found[name] = Unread(len(values), cut, tokens, unknown, options)
    return found


def _read(
    samples: Sequence[Sample], rows: Rows, modalities: Mapping[str, Modality], asked: Mapping[str, Modality]
) -> tuple[Sequence[Sample], Batch]:
    """Return samples that can be read, and their batch of the inputs that are asked about."""
    if isinstance(rows, RowsInMemory):
        if len(samples) == len(rows):
            return samples, rows.batch
        return list(readable(samples, modalities, skip=_pass_over)), rows.batch
    some = list(readable(samples[:_LOOKED_AT], asked, skip=_pass_over))
    return some, to_batch(some, asked)


def _pass_over(sample: Sample, error: DataError) -> None:
    """The error was reported when the rows were read, or will be."""


def _option(modality: Modality, name: str, option: str) -> tuple[str, Any]:
    return (f"spec.inputs.{name}.modality.{option}", getattr(modality, option)) if option else ("", None)


def _advice(key: str, value: Any) -> str:
    return f"; set {key} (it is {value})" if key else ""
