"""The settings of a training: the table ``[training]`` of a recipe."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from zoo.errors import SpecError
from zoo.recipes.tables import Table

if TYPE_CHECKING:
    from annotated_types import Ge, Gt, Interval  # a listing reads no recipe and skips this slow import

# Keys that recipes have had from the first version on: they are written even if they have their defaults.
_ALWAYS_WRITTEN = (
    "steps",
    "batch_size",
    "learning_rate",
    "weight_decay",
    "warmup_steps",
    "schedule",
    "checkpoint_every",
    "seed",
    "accumulate",
    "precision",
    "compile",
    "workers",
    "validate_every",
    "trackers",
)


@dataclass(frozen=True)
class Training:
    """How a model is trained: the number of optimiser steps, the rows per step, the rates and the seed of chance.

    ``accumulate`` splits a batch into so many parts, taken one after another, to save memory; the gradient is that of
    the whole batch. An objective that compares rows compares all of them, and runs its encoders twice on each part.
    ``precision`` is ``fp32``, ``bf16`` or, on a GPU, ``fp16``. ``compile`` runs the steps through torch.compile.
    ``workers`` is the number of processes that decode files; they decode ahead if the files do not fit in memory.
    ``validate_every`` is the number of steps between measurements of the split ``validation``; 0 means never.
    ``trackers`` are names that Accelerate knows, such as ``tensorboard``. ``drop`` is the fraction of training values
    to remove, by input, to study missing values; ``seed`` decides which ones.

    ``freeze`` names parts that are not trained, such as ``picture.encoder``; ``learning_rates`` gives parts their own
    learning rate. ``weight_decay`` acts on weights that are matrices, not on norms and biases. ``clip_norm`` is the
    largest norm of a player's gradient; 0 means any.

    ``optimiser`` is ``adamw``, or ``adam``, whose weight decay is part of the gradient, ``sgd``, ``lion`` or ``muon``,
    which leaves all to AdamW except matrices outside of embeddings. ``beta1`` and ``beta2`` belong to Adam, AdamW
    and Lion; if ``beta2`` is 0, it is 0.999, or 0.99 for Lion. ``momentum`` belongs to SGD and Muon. The learning rate
    rises over ``warmup_steps``, then follows ``schedule``; ``linear``, ``cosine`` and ``one-cycle`` end at the fraction
    ``floor`` of it. ``plateau`` multiplies it by ``plateau_factor``, down to ``floor``, after ``plateau_patience``
    measurements in a row in which the metric ``best`` was no better.

    ``epochs``, if it is not 0, is the number of passes over the rows, and decides ``steps``. ``ema`` is the decay of a
    moving average of the weights, which is then measured, saved and exported; 0 means none. ``best`` names a metric of
    the split ``validation``, as a whole or by its end, such as ``recall@10``: the checkpoint with its best value is
    kept, and taken by default. ``best_is`` says which value is the best if that is unknown. ``stop_after`` ends the
    training after so many measurements in a row that were no better; 0 means never.
    """

    steps: Annotated[int, Ge(1)] = 1000
    batch_size: Annotated[int, Ge(1)] = 128
    learning_rate: Annotated[float, Gt(0)] = 1e-3
    weight_decay: Annotated[float, Ge(0)] = 0.0
    warmup_steps: Annotated[int, Ge(0)] = 0
    schedule: Literal["constant", "linear", "cosine", "one-cycle", "plateau"] = "constant"
    checkpoint_every: Annotated[int, Ge(1)] = 1000
    seed: Annotated[int, Ge(0)] = 0
    accumulate: Annotated[int, Ge(1)] = 1
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    workers: Annotated[int, Ge(0)] = 0
    validate_every: Annotated[int, Ge(0)] = 0
    trackers: tuple[str, ...] = ()
    drop: Mapping[str, Annotated[float, Interval(ge=0, le=1)]] = field(default_factory=dict)
    freeze: tuple[str, ...] = ()
    learning_rates: Mapping[str, Annotated[float, Gt(0)]] = field(default_factory=dict)
    clip_norm: Annotated[float, Ge(0)] = 0.0
    optimiser: Literal["adam", "adamw", "sgd", "lion", "muon"] = "adamw"
    beta1: Annotated[float, Interval(ge=0, lt=1)] = 0.9
    beta2: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    momentum: Annotated[float, Interval(ge=0, lt=1)] = 0.9
    floor: Annotated[float, Interval(ge=0, le=1)] = 0.0
    plateau_patience: Annotated[int, Ge(1)] = 5
    plateau_factor: Annotated[float, Interval(gt=0, lt=1)] = 0.1
    epochs: Annotated[int, Ge(0)] = 0
    ema: Annotated[float, Interval(ge=0, lt=1)] = 0.0
    best: str = ""
    best_is: Literal["", "highest", "lowest"] = ""
    stop_after: Annotated[int, Ge(0)] = 0

    @classmethod
    def read(cls, value: Any, where: str) -> Training:
        """Read ``[training]``; what is missing has the default."""
        table = Table(value, where)
        taken: dict[str, Any] = {}
        for known in fields(cls):
            if known.name in ("trackers", "freeze"):
                taken[known.name] = table.texts(known.name)
            elif known.name == "learning_rates":
                taken[known.name] = dict(_dotted(table.take(known.name, dict, {}), ""))
            elif known.name == "drop":
                taken[known.name] = table.take(known.name, dict, {})
            else:
                taken[known.name] = table.take(known.name, type(known.default), known.default)
        table.done()
        return cls(**taken)

    def check(self, where: str) -> None:
        """Raise SpecError for values that are in their ranges but do not fit each other."""
        for part in sorted({*self.freeze} & {*self.learning_rates}):
            raise SpecError(f"{where}: {part!r} is in 'freeze' and in 'learning_rates'; take it out of one of them")
        needs = {"stop_after": self.stop_after, "best_is": self.best_is, "schedule": self.schedule == "plateau"}
        for key in (key for key, needed in needs.items() if needed and not self.best):
            raise SpecError(f"{where}: {key!r} = {getattr(self, key)!r} needs 'best', the metric that it looks at")
        if self.optimiser == "muon" and self.precision == "fp16":
            raise SpecError(f"{where}: 'optimiser' = 'muon' has two optimisers, which 'fp16' cannot scale; use 'bf16'")
        if self.best and not self.validate_every:
            raise SpecError(f"{where}: 'best' needs 'validate_every', the number of steps between measurements")

    def counted(self, rows: int) -> Training:
        """Return the settings with the number of steps that ``epochs`` of so many rows take, if it is given."""
        if not self.epochs:
            return self
        return replace(self, steps=self.epochs * (rows // min(self.batch_size, rows)))

    def complete(self) -> dict[str, Any]:
        """Return all settings, as a table."""
        plain = {known.name: getattr(self, known.name) for known in fields(self)}
        return {
            key: list(value) if isinstance(value, tuple) else dict(value) if isinstance(value, Mapping) else value
            for key, value in plain.items()
        }

    def written(self) -> dict[str, Any]:
        """Return what ``read`` reads; newer settings are left out if they have their defaults."""
        unset = Training().complete()
        return {key: value for key, value in self.complete().items() if key in _ALWAYS_WRITTEN or value != unset[key]}


def _dotted(table: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield the values of nested tables by dotted keys: TOML reads the key ``picture.encoder`` as two tables."""
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _dotted(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
