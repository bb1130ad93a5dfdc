"""What a contract says of a part that fails it: NaN by its name, the idle parameter, the rule that is broken."""

import sys
from dataclasses import dataclass
from types import ModuleType
from typing import Annotated, ClassVar

import pytest
import torch
from annotated_types import Gt
from torch import nn
from zoo_toy.modality import VectorsModality
from zoo_toy.parts import GaussianDecoder, GaussianTotal, LinearEncoder

from zoo.discovery.registered import Component, Plugin
from zoo.errors import SpecError
from zoo.protocols import Graph, TensorSpec
from zoo.testing import (
    DatasetContract,
    DecoderContract,
    EncoderContract,
    ModalityContract,
    ObjectiveContract,
    PluginContract,
    number_batch,
)
from zoo.testing.kinds import require_kind
from zoo.testing.naming import require_finite, require_range

MODALITY = VectorsModality()


def broken_by(part, name, value):
    with torch.no_grad():
        part.get_parameter(name).flatten()[0] = value
    return part


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[0.0, 1.0], [float("nan"), 2.0]], "features: 1 of 4 values are NaN, first in row 1"),
        ([[0.0, float("inf")], [1.0, 2.0]], "features: 1 of 4 values are infinite, first in row 0"),
        (float("nan"), "features: 1 of 1 values are NaN$"),
    ],
)
def test_nan_and_infinity_are_named_with_the_row(values, message):
    with pytest.raises(AssertionError, match=message):
        require_finite("features", torch.tensor(values))


def test_nan_is_not_called_a_value_out_of_range():
    spec = TensorSpec("float32", ("batch", 2), 0, 1)
    with pytest.raises(AssertionError, match="values: 1 of 2 values are NaN"):
        require_range("values", torch.tensor([[0.5, float("nan")]]), spec)
    with pytest.raises(AssertionError, match=r"values leaves its range: declared 0 to 1, found 0.5 to 2"):
        require_range("values", torch.tensor([[0.5, 2.0]]), spec)


def test_features_that_are_nan_are_called_so():
    with pytest.raises(AssertionError, match=r"features: .* values are NaN, first in row 0"):
        EncoderContract().test_features_are_rows_of_feature_dim(
            MODALITY, broken_by(LinearEncoder(MODALITY), "linear.weight", float("nan"))
        )


def test_a_score_that_is_nan_is_called_so():
    with pytest.raises(AssertionError, match="log_prob: 4 of 4 values are NaN, first in row 0"):
        DecoderContract().test_the_likelihood_scores_each_row(
            MODALITY, broken_by(GaussianDecoder(MODALITY, 2), "linear.weight", float("nan"))
        )


def test_a_modality_that_is_not_registered_is_named():
    class Sky:
        inputs: ClassVar = {"sound": "sky"}

    with pytest.raises(AssertionError, match="no installed plugin registers the modality sky; install it, or correct"):
        DatasetContract().test_its_inputs_have_modalities(Sky())


def test_a_default_out_of_its_range_is_named(monkeypatch):
    @dataclass(frozen=True)
    class Sky:
        clouds: Annotated[float, Gt(0)] = 0.0
        stars: int | None = None

    module = ModuleType("zoo_sky")
    module.Sky = Sky
    monkeypatch.setitem(sys.modules, "zoo_sky", module)
    component = Component("dataset", "sky", "zoo_sky:Sky", "modalzoo-sky")
    plugin = Plugin("sky", "zoo_sky", "modalzoo-sky", "1.0", (component,))
    with pytest.raises(SpecError, match=r"^dataset sky: the default of 'clouds' takes a number above 0, got 0\.0$"):
        PluginContract().test_defaults_are_what_their_options_take(plugin)


def with_idle(part, *, trained):
    part.idle = nn.Parameter(torch.zeros(1), requires_grad=trained)
    return part


GRADIENTS = "test_every_parameter_gets_a_gradient"


@pytest.mark.parametrize(
    ("contract", "kind", "sizes"), [(EncoderContract, LinearEncoder, ()), (DecoderContract, GaussianDecoder, (2,))]
)
def test_an_idle_parameter_is_named_and_one_that_is_not_trained_may_be_idle(contract, kind, sizes):
    check = getattr(contract(), GRADIENTS)
    with pytest.raises(AssertionError, match="no gradient reaches idle; use each parameter in forward, or set"):
        check(MODALITY, with_idle(kind(MODALITY, *sizes), trained=True))
    check(MODALITY, with_idle(kind(MODALITY, *sizes), trained=False))


def test_an_idle_parameter_of_an_objective_is_named():
    from zoo_autoencoding.presets import Autoencoder

    from zoo.testing import number_inputs

    objective = with_idle(Autoencoder(number_inputs("only"), 2), trained=True)
    with pytest.raises(AssertionError, match="no gradient reaches idle; use each parameter in forward"):
        getattr(ObjectiveContract(), GRADIENTS)(objective, number_batch("only"))


@dataclass(frozen=True)
class ResidualTotal(GaussianTotal):
    def target(self, tensors):
        return {"total": super().target(tensors)["total"] - self.mean}


class ResidualDecoder(GaussianDecoder):
    def forward(self, latent):
        return ResidualTotal(self.linear(latent))


def test_a_target_that_hangs_on_the_latent_is_told_the_rule():
    with pytest.raises(
        AssertionError, match="the target total depends on the latent; compute it from the tensors alone"
    ):
        DecoderContract().test_folded_modes_stand_beside_their_targets(MODALITY, ResidualDecoder(MODALITY, 2))


def test_a_modality_of_width_0_is_told_the_axis():
    with pytest.raises(AssertionError, match="values: the axis 0 has at most 0 places; declare at least 1"):
        ModalityContract().test_no_tensor_has_the_width_0(VectorsModality(width=0))


def graph_that_says(inputs=("a.ids",), **facts):
    row = TensorSpec("float32", ("batch", 2))
    return Graph("g", nn.Identity(), dict.fromkeys(inputs, row), {"g.ids": row}, {}, lambda *_: {}, **facts)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"kind": "encode"}, "of the kind 'encode' has as its source one of a, b, got ''"),
        ({"kind": "encode", "source": "c"}, "has the source 'c', which is not an input; the inputs are a, b"),
        ({"kind": "encode", "source": "b"}, "of the kind 'encode' reads b, got tensors of a"),
        ({"kind": "encode", "source": "a", "target": "b"}, "has as its target no input, got 'b'"),
        ({"kind": "decode", "target": "b"}, "of the kind 'decode' reads latent, got tensors of a"),
        ({"kind": "translate", "source": "a", "target": "a"}, "two different inputs as source and target, got 'a' and"),
        ({"kind": "reconstruct", "source": "a", "target": "b"}, "has the same source and target, got 'a' and 'b'"),
        ({"kind": "embed", "inputs": ["c.ids"]}, "of the kind 'embed' reads a, b, got tensors of c"),
        ({"kind": "pool", "raw": True}, "of the kind 'pool' says that it is raw"),
    ],
)
def test_a_graph_that_is_not_what_it_says_is_told(facts, message):
    with pytest.raises(AssertionError, match=message):
        require_kind(graph_that_says(**facts), ["a", "b"])


def test_a_graph_of_a_kind_of_its_own_may_read_anything():
    require_kind(graph_that_says(), ["a", "b"])
    require_kind(graph_that_says(kind="pool", source="a"), ["a", "b"])


def test_a_tensor_that_is_called_like_the_one_that_tells_of_gaps_is_told():
    @dataclass(frozen=True)
    class WithPresence(VectorsModality):
        @property
        def tensors(self):
            return {"present": TensorSpec("bool", ("batch",))}

    message = "a tensor is called 'present', the name by which graphs mark gaps; rename it"
    with pytest.raises(AssertionError, match=message):
        ModalityContract().test_no_tensor_is_called_like_the_one_that_tells_of_gaps(WithPresence())
