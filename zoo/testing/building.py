"""Builds the components of a distribution with their defaults, and finds raw values for their modalities."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from contextlib import suppress
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch

from zoo.discovery.components import checked_options, component_class, make_dataset, make_exporter, make_modality
from zoo.discovery.plugins import Component, installed
from zoo.errors import PluginError, ZooError
from zoo.protocols import Dataset, Modality
from zoo.recipes.spec import Part
from zoo.testing.contract import CHECK, exception_of
from zoo.testing.drawing import sizes_of

_FEWEST, _VALUES = 3, 32


def built(component: Component, expected: type, **given: Any) -> Any:
    """Build an encoder, a decoder or an objective with its defaults; its weights are drawn with the seed 0."""
    found = _checkable(component)
    component_class(installed(), component.kind, component.name, expected)
    part = Part(component.name, _options(found))
    options = checked_options(found, component.kind, part, f"the {component.kind} {component.name!r}")
    torch.manual_seed(0)
    with installed().blaming(component.kind, component.name):
        return found(**given, **options)


def made(component: Component) -> Any:
    """Build a modality, a data set or an exporter with its defaults."""
    part = Part(component.name, _options(_checkable(component)))
    match component.kind:
        case "modality":
            return make_modality(part, "the modality", installed())
        case "dataset":
            return make_dataset(part, installed())
    return make_exporter(component.name, installed())


def fitted(component: Component) -> Modality:
    """Return the fitted modality of a component: of a modality itself, or of an encoder's or decoder's."""
    return _fitted(_modality_of(component), component.distribution)


def raw_values(component: Component) -> list[Any]:
    """Return raw values of a component's modality.

    They come from a data set of the component's own distribution, or else are drawn, or else come from any data set.
    Raises PluginError if there are none.
    """
    return _raw_values(_modality_of(component), component.distribution)


@functools.cache
def _fitted(modality: Component, distribution: str) -> Modality:
    unfitted: Modality = made(modality)
    return unfitted.fit(_raw_values(modality, distribution))


@functools.cache
def _raw_values(modality: Component, distribution: str) -> list[Any]:
    taken = {
        dataset: functools.partial(_taken, dataset, modality.name)
        for (kind, _), dataset in installed().table.items()
        if kind == "dataset"
    }
    own = [take for dataset, take in taken.items() if dataset.distribution == distribution]
    for source in (*own, functools.partial(_drawn, modality), *taken.values()):
        with suppress(ZooError):
            values = source()
            if len(values) >= _FEWEST:
                return values
    raise PluginError(
        f"no values of the modality {modality.name!r}: no data set that is installed has {_FEWEST} of them and can be "
        f"read without options, and it draws none before it is fitted; bring a data set in {distribution}"
    )


def _taken(dataset: Component, modality: str) -> list[Any]:
    """Return the first values of a modality in a data set's training samples; empty if the data need a user."""
    if exception_of(installed().load("dataset", dataset.name), CHECK) is not None:
        return []
    opened: Dataset = made(dataset)
    names = [name for name, kind in opened.inputs.items() if kind == modality]
    if not names:
        return []
    values = (sample.inputs.get(name) for sample in opened.split("train") for name in names)
    return list(islice((value for value in values if value is not None), _VALUES))


def _drawn(modality: Component) -> list[Any]:
    """Return the values that a modality without need of fitting makes of drawn arrays."""
    unfitted: Modality = made(modality)
    sizes = list(sizes_of(unfitted))[-1]
    return list(unfitted.from_arrays(unfitted.example(_VALUES, sizes, generator=np.random.default_rng(0))))


def _modality_of(component: Component) -> Component:
    return installed().find("modality", component.name.split("/")[0])


def _checkable(component: Component) -> Any:
    """Return a component's class; skip the test if it states why it cannot be built without a user."""
    found = installed().load(component.kind, component.name)
    reason = exception_of(found, CHECK)
    if reason is not None:
        pytest.skip(reason)
    return found


def _options(found: Any) -> Mapping[str, Any]:
    options: Mapping[str, Any] = getattr(found, "contract_options", {})
    return options
