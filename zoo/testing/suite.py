"""The contracts for all components of an installed distribution, each built with its defaults."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import pytest
import torch

from zoo.discovery.plugins import Component, Plugin, installed
from zoo.errors import SpecError
from zoo.modules import Batch, Decoder, Encoder, Front, Likelihood, Objective, Tensors
from zoo.protocols import Dataset, Exporter, Modality
from zoo.testing.building import built, fitted, made, raw_values
from zoo.testing.contract import Contract
from zoo.testing.dataset import DatasetContract
from zoo.testing.decoder import DecoderContract, LikelihoodContract
from zoo.testing.drawing import tensors_of
from zoo.testing.encoder import EncoderContract
from zoo.testing.exporter import ExporterContract
from zoo.testing.front import FrontContract
from zoo.testing.modality import ModalityContract
from zoo.testing.numbers import number_batch, number_inputs
from zoo.testing.objective import ObjectiveContract
from zoo.testing.plugin import PluginContract

_LATENT_DIM, _ROWS = 4, 8


def contracts_of(distribution: str) -> dict[str, type]:
    """Return the test classes for an installed distribution, one or two per component, by name.

    A test file includes them by ``globals().update(contracts_of("modalzoo-birds"))``. A component is built with the
    defaults of its options, or with its attribute ``contract_options``. The values for a modality come from a data set
    that has them, first of the same distribution, or else are drawn. An objective joins two inputs of four numbers, or
    one if it refuses two.

    Raises UnknownNameError if the distribution has no plugin, PluginError if its plugin failed to register.
    """
    found = {}
    for plugin in installed().of(distribution):
        name = f"Test plugin {plugin.name}"
        found[name] = type(name, (_InstalledPlugin,), {"found": plugin})
        for component in plugin.components:
            for contract in _CONTRACTS.get(component.kind, ()):
                name = f"Test {contract.title or component.kind} {component.name}"
                found[name] = type(name, (contract,), {"component": component})
    return found


class _InstalledPlugin(PluginContract):
    found: ClassVar[Plugin]

    @pytest.fixture
    def plugin(self) -> Plugin:
        return self.found


class _Installed(Contract):
    component: ClassVar[Component]
    title: ClassVar[str] = ""


class _InstalledOfModality(_Installed):
    @pytest.fixture
    def modality(self) -> Modality:
        return fitted(self.component)


class _InstalledModality(_InstalledOfModality, ModalityContract):
    @pytest.fixture
    def values(self) -> Sequence[Any]:
        return raw_values(self.component)


class _InstalledEncoder(_InstalledOfModality, EncoderContract):
    @pytest.fixture
    def encoder(self, modality: Modality) -> Encoder:
        encoder: Encoder = built(self.component, Encoder, modality=modality)
        return encoder


class _InstalledDecoder(_InstalledOfModality, DecoderContract):
    @pytest.fixture
    def decoder(self, modality: Modality) -> Decoder:
        decoder: Decoder = built(self.component, Decoder, modality=modality, latent_dim=_LATENT_DIM)
        return decoder


class _InstalledLikelihood(_InstalledOfModality, LikelihoodContract):
    title = "likelihood of decoder"

    @pytest.fixture
    def likelihood(self, modality: Modality) -> Likelihood:
        decoder = built(self.component, Decoder, modality=modality, latent_dim=_LATENT_DIM)
        likelihood: Likelihood = decoder.eval()(torch.randn(_ROWS, _LATENT_DIM))
        return likelihood

    @pytest.fixture
    def targets(self, modality: Modality) -> Tensors:
        return tensors_of(modality, _ROWS)


class _InstalledFront(_InstalledOfModality, FrontContract):
    @pytest.fixture
    def values(self) -> Sequence[Any]:
        return raw_values(self.component)

    @pytest.fixture
    def front(self, modality: Modality) -> Front:
        front: Front = built(self.component, Front, modality=modality)
        return front


class _InstalledObjective(_Installed, ObjectiveContract):
    @pytest.fixture
    def objective(self) -> Objective:
        return self._joining(*self._names())

    @pytest.fixture
    def batch(self) -> Batch:
        return number_batch(*self._names(), rows=_ROWS)

    def _names(self) -> Sequence[str]:
        try:
            self._joining("left", "right")
        except SpecError:
            return ("only",)
        return "left", "right"

    def _joining(self, *names: str) -> Objective:
        made: Objective = built(self.component, Objective, inputs=number_inputs(*names), latent_dim=_LATENT_DIM)
        return made


class _InstalledDataset(_Installed, DatasetContract):
    @pytest.fixture
    def dataset(self) -> Dataset:
        dataset: Dataset = made(self.component)
        return dataset


class _InstalledExporter(_Installed, ExporterContract):
    @pytest.fixture
    def exporter(self) -> Exporter:
        exporter: Exporter = made(self.component)
        return exporter


_CONTRACTS: Mapping[str, tuple[type[_Installed], ...]] = {
    "modality": (_InstalledModality,),
    "encoder": (_InstalledEncoder,),
    "decoder": (_InstalledDecoder, _InstalledLikelihood),
    "front": (_InstalledFront,),
    "objective": (_InstalledObjective,),
    "dataset": (_InstalledDataset,),
    "exporter": (_InstalledExporter,),
}
