"""The parts of a model by name: ``picture.encoder``, ``caption.decoder``, and those of its objective."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

from zoo.errors import SpecError, did_you_mean
from zoo.models.build import Model

Named = TypeVar("Named")


@dataclass(frozen=True)
class Parts:
    """The names of every parameter and module of a model.

    An encoder or decoder is called after its input, wherever the objective keeps it: ``picture.encoder``; if it has
    several, for one input, all have this name. Other parts have the names that the objective gives them: ``log_scale``.
    Dots lead into a part: ``picture.encoder.blocks.0``.
    """

    parameters: Mapping[str, Sequence[nn.Parameter]]
    modules: Mapping[str, Sequence[nn.Module]]
    known: Sequence[str]

    @classmethod
    def of(cls, model: Model) -> Parts:
        """Return the parts of a model."""
        roots = _roots(model)
        parameters: dict[str, list[nn.Parameter]] = {}
        known: dict[str, None] = {}
        for path, parameter in model.objective.named_parameters():
            names = list(_names(path, roots))
            for name in names:
                parameters.setdefault(name, []).append(parameter)
            if len(names) == 1:
                known[path.split(".")[0]] = None
        modules: dict[str, list[nn.Module]] = {}
        for path, module in model.objective.named_modules():
            for name in _names(path, roots) if path else ():
                modules.setdefault(name, []).append(module)
        return cls(parameters, modules, [*dict.fromkeys(roots.values()), *known])

    def parameters_of(self, part: str, key: str) -> list[nn.Parameter]:
        """Return the parameters of a part; ``key`` of the recipe names it.

        Raises SpecError, with the known parts, if there is no such part, or if it has no parameters.
        """
        found = [one for name, owned in self.parameters.items() if _within(name, part) for one in owned]
        if not found:
            raise SpecError(
                f"{key}: no part {part!r} with weights; this model has {', '.join(self.known)}, and dots lead into "
                f"them, as in {self.known[0]}.NAME.{did_you_mean(part, self.known)}"
            )
        return list({id(one): one for one in found}.values())

    def modules_of(self, part: str) -> list[nn.Module]:
        """Return the outermost modules of a part; none if it is a single parameter."""
        return list(self.modules.get(part, ()))


def by_part(model: Model, tensors: Mapping[str, Named]) -> dict[str, Named]:
    """Return tensors that are named by their places in the objective, named by part: ``picture.encoder.weight``.

    Of several parts with one name, the first has it; the tensors of the others are called by their places.
    """
    roots, found = _roots(model), dict[str, Named]()
    for path, tensor in tensors.items():
        name = [*_names(path, roots)][-1]
        found[path if name in found else name] = tensor
    return found


def _roots(model: Model) -> dict[str, str]:
    """Return the name of each encoder and decoder, by its path in the objective."""
    names = {id(module): name for name, modules in model.made.items() for module in modules}
    return {path: names[id(module)] for path, module in model.objective.named_modules() if id(module) in names}


def _names(path: str, roots: Mapping[str, str]) -> Iterator[str]:
    """Yield the names of a parameter or module: its path, and its path from the encoder or decoder that holds it."""
    yield path
    for root, name in roots.items():
        if _within(path, root):
            yield f"{name}{path.removeprefix(root)}"


def _within(name: str, part: str) -> bool:
    return name == part or name.startswith(f"{part}.")
