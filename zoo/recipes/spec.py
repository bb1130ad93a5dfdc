"""What a model is: specs and recipes as frozen values, read from tables and written back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from zoo.errors import SpecError, did_you_mean
from zoo.recipes.arguments import checked
from zoo.recipes.assignments import assigned
from zoo.recipes.tables import SCHEMA, Table, check_values, checked_slug, read_toml
from zoo.recipes.training import Training

if TYPE_CHECKING:
    from annotated_types import Ge  # a listing reads no recipe and skips this slow import


@dataclass(frozen=True)
class Part:
    """A registered name and the options that a spec gives it: ``"text"`` or ``{ name = "text", max_length = 32 }``."""

    name: str
    options: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def read(cls, value: Any, where: str) -> Part:
        """Read a name, or a table with a name and options."""
        if value is None:
            raise SpecError(f"{where} is missing; give a name, or a table with a name and options")
        if isinstance(value, str):
            return cls(checked_slug(value, where))
        table = Table(value, where)
        return cls(table.slug("name"), table.items())

    def written(self) -> str | dict[str, Any]:
        """Return what ``read`` reads."""
        return {"name": self.name, **self.options} if self.options else self.name


@dataclass(frozen=True)
class InputSpec:
    """One named input of a model. It may lack an encoder or a decoder."""

    name: str
    modality: Part
    encoder: Part | None
    decoder: Part | None

    @classmethod
    def read(cls, name: str, value: Any, where: str) -> InputSpec:
        """Read one table of ``[spec.inputs]``."""
        where = f"{where}.{checked_slug(name, where)}"
        if "." in name:
            raise SpecError(
                f"{where}: {name!r} is not a name for an input: a dot separates an input from its tensors; use '-'"
            )
        table = Table(value, where)
        modality, encoder, decoder = (table.anything(key) for key in ("modality", "encoder", "decoder"))
        table.done()
        return cls(
            name,
            Part.read(modality, f"{where}.modality"),
            Part.read(encoder, f"{where}.encoder") if encoder is not None else None,
            Part.read(decoder, f"{where}.decoder") if decoder is not None else None,
        )

    def written(self) -> dict[str, Any]:
        """Return what ``read`` reads."""
        parts = {"modality": self.modality, "encoder": self.encoder, "decoder": self.decoder}
        return {key: part.written() for key, part in parts.items() if part is not None}


@dataclass(frozen=True)
class ModelSpec:
    """Named inputs joined by one objective. The order of the inputs matters: features are concatenated in it."""

    objective: Part
    latent_dim: Annotated[int, Ge(1)]
    inputs: tuple[InputSpec, ...]

    def __repr__(self) -> str:
        return f"<spec: {self.summary}; latent of {self.latent_dim}>"

    @property
    def summary(self) -> str:
        """The model in a few words: ``infonce of picture (image), caption (text)``."""
        return f"{self.objective.name} of {', '.join(f'{part.name} ({part.modality.name})' for part in self.inputs)}"

    @classmethod
    def read(cls, value: Any, where: str) -> ModelSpec:
        """Read ``[spec]``; ``inputs`` is a table in order, or a list of tables with their names."""
        table = Table(value, where)
        objective = Part.read(table.anything("objective"), f"{where}.objective")
        latent_dim = table.take("latent_dim", int)
        inputs = table.anything("inputs")
        table.done()
        if isinstance(inputs, list):
            inputs = {Table(entry, f"{where}.inputs").take("name", str): _without_name(entry) for entry in inputs}
        if not isinstance(inputs, Mapping) or not inputs:
            raise SpecError(f"{where}: a model needs at least one input; add a table [spec.inputs.NAME]")
        known = [name for name, entry in inputs.items() if _has_modality(entry)]
        read = []
        for name, entry in inputs.items():
            try:
                read.append(InputSpec.read(name, entry, f"{where}.inputs"))
            except SpecError as error:
                if name in known or not known or not {one.name for one in fields(InputSpec)}.issuperset(entry):
                    raise
                told = f"inputs with a modality are {', '.join(known)}.{did_you_mean(name, known)}"
                raise SpecError(f"{error}; {told}") from error
        return cls(objective, latent_dim, tuple(read))

    def written(self) -> dict[str, Any]:
        """Return what ``read`` reads, for TOML, which keeps the order of tables."""
        inputs = {entry.name: entry.written() for entry in self.inputs}
        return {"objective": self.objective.written(), "latent_dim": self.latent_dim, "inputs": inputs}

    @property
    def modalities(self) -> tuple[str, ...]:
        """The names of the modalities, sorted, each once."""
        return tuple(sorted({entry.modality.name for entry in self.inputs}))


@dataclass(frozen=True)
class Evaluation:
    """What ``zoo evaluate`` measures: a split, and, if ``by`` names a label of its samples, each label's part of it.

    ``probe`` also measures how well the labels can be predicted from the latent. ``coherence`` also measures how often
    a translation has the label of the input that it was made from.
    """

    split: str = "test"
    by: str = ""
    probe: bool = False
    coherence: bool = False

    @classmethod
    def read(cls, value: Any, where: str) -> Evaluation:
        """Read ``[evaluation]``; what is missing has the default."""
        table = Table(value, where)
        read = cls(
            table.take("split", str, "test"),
            table.take("by", str, ""),
            table.take("probe", bool, False),
            table.take("coherence", bool, False),
        )
        table.done()
        return read


@dataclass(frozen=True)
class Recipe:
    """All that ``zoo train`` needs: the model, the data, the settings."""

    spec: ModelSpec
    data: Part
    training: Training = field(default_factory=Training)
    evaluation: Evaluation = Evaluation()

    def __repr__(self) -> str:
        return f"<recipe: {self.summary}; data {self.data.name}; {self.training.steps} steps>"

    @property
    def summary(self) -> str:
        """The model in a few words: ``infonce of picture (image), caption (text)``."""
        return self.spec.summary

    @classmethod
    def read(cls, value: Any, where: str) -> Recipe:
        """Read a recipe's tables, which came from TOML, from JSON or from a command line."""
        read = cls.listed(value, where)
        _check_ranges(read.spec, f"{where}: spec")
        _check_ranges(read.training, f"{where}: training")
        read.training.check(f"{where}: training")
        return read

    @classmethod
    def listed(cls, value: Any, where: str) -> Recipe:
        """Read a recipe as ``read`` does, for a listing: without checking that numbers are in their ranges."""
        check_values(value, where)
        table = Table(value, where)
        table.schema()
        spec, data, training, evaluation = (table.anything(key) for key in ("spec", "data", "training", "evaluation"))
        table.done()
        if spec is None:
            raise SpecError(
                f"{where}: the table [spec] is missing; `zoo info NAME --recipe` prints a recipe to start from"
            )
        read = cls(
            ModelSpec.read(spec, f"{where}: spec"),
            Part.read(data, f"{where}: data"),
            Training.read({} if training is None else training, f"{where}: training"),
            Evaluation.read({} if evaluation is None else evaluation, f"{where}: evaluation"),
        )
        inputs = [entry.name for entry in read.spec.inputs]
        if unknown := [name for name in read.training.drop if name not in inputs]:
            raise SpecError(f"{where}: training: 'drop' names {unknown[0]!r}; the inputs are {', '.join(inputs)}")
        return read

    @classmethod
    @checked
    def load(cls, path: Path | str) -> Recipe:
        """Read a recipe from a TOML file."""
        return cls.read(read_toml(Path(path)), str(path))

    def written(self) -> dict[str, Any]:
        """Return what ``read`` reads."""
        return {
            "schema": SCHEMA,
            "spec": self.spec.written(),
            "data": {"name": self.data.name, **self.data.options},
            "training": self.training.written(),
            "evaluation": asdict(self.evaluation),
        }

    def toml(self) -> str:
        """Return the recipe as TOML."""
        import tomlkit

        return tomlkit.dumps(self.written())

    @checked
    def with_options(self, options: Mapping[str, Any] | Sequence[str]) -> Recipe:
        """Return the recipe with each option set: values by key, or texts such as ``training.steps=100``."""
        tables = self.written()
        for given, key, value in assigned(options):
            *path, last = key.split(".")
            table = tables
            for step in path:
                inner = table.setdefault(step, {})
                if isinstance(inner, str):  # a part given by its bare name becomes a table that can hold the option
                    inner = table[step] = {"name": inner}
                if not isinstance(inner, dict):
                    raise SpecError(
                        f"`options` {given}: {step!r} is not a table; `zoo info NAME --recipe` shows the keys"
                    )
                table = inner
            table[last] = value
        return Recipe.read(tables, "`options`")


def _check_ranges(table: ModelSpec | Training, where: str) -> None:
    """Raise SpecError for a value that is not in the range that its field declares."""
    from zoo.recipes.options import fields_of  # a slow import, which a listing does not need

    declared: type = type(table)
    for key, option in fields_of(declared).items():
        option.checked(getattr(table, key), f"{where}: {key!r}")


def _has_modality(entry: Any) -> bool:
    """Return whether the table of an input names its modality; one that does not may belong to another, mistyped."""
    part = entry.get("modality") if isinstance(entry, Mapping) else ""
    return part is not None and (not isinstance(part, Mapping) or "name" in part)


def _without_name(entry: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in entry.items() if key != "name"}
