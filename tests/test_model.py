"""A spec becomes a model with the weights of its seed; what does not fit is refused with what would."""

import math
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from zoo_toy.modality import VectorsModality

from zoo.discovery.components import make_modalities
from zoo.errors import SpecError, UnknownNameError
from zoo.models.batches import to_batch
from zoo.models.build import build
from zoo.models.folding import Folded, decode
from zoo.models.graphs import as_tensors, translate_graph
from zoo.modules import Losses
from zoo.protocols import TensorSpec
from zoo.recipes.spec import Part


@pytest.fixture
def spec(make_recipe):
    return make_recipe().spec


@pytest.fixture
def modalities(spec, plugins):
    return make_modalities(spec, plugins)


def test_the_seed_draws_the_weights_and_leaves_chance_as_it_was(spec, modalities, plugins):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    first, again, other = (build(spec, modalities, seed=seed, plugins=plugins) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(3), expected)
    weights = [model.objective.encoders["left"].linear.weight for model in (first, again, other)]
    assert torch.equal(weights[0], weights[1])
    assert not torch.equal(weights[0], weights[2])


def test_the_parameters_are_counted(spec, modalities, plugins):
    encoders, heads, decoders = 2 * (3 * 5 + 5), 2 * (5 * 2 + 2), 2 * (2 * 3 + 3)
    assert build(spec, modalities, plugins=plugins).parameter_count == encoders + heads + decoders


def test_graphs_come_by_name(spec, modalities, plugins):
    model = build(spec, modalities, plugins=plugins)
    assert [graph.name for graph in model.graphs()][:3] == ["encode_right", "decode_right", "reconstruct_right"]
    assert [graph.name for graph in model.graphs(["decode_left"])] == ["decode_left"]
    with pytest.raises(
        SpecError, match="no graph 'decode'; this model has encode_right, decode_right, reconstruct_right"
    ):
        model.graphs(["decode"])


def test_a_graph_names_its_tensors_and_free_axes_by_input(spec, modalities, plugins):
    graph = build(spec, modalities, plugins=plugins).graphs(["reconstruct_left"])[0]
    assert set(graph.inputs) == {"left.values", "left.mask"}
    assert graph.inputs["left.values"].axes == ("batch", "left.length", 3)
    assert list(graph.axes) == ["left.length"]
    assert list(graph.outputs) == ["reconstruct_left.total"]
    drawn = graph.draw(4, {"left.length": 2}, np.random.default_rng(0))
    assert drawn["left.values"].shape == (4, 2, 3)
    assert graph.module(as_tensors(drawn))["reconstruct_left.total"].shape == (4, 3)


def test_a_graph_says_what_it_does_with_which_inputs(spec, modalities, plugins):
    encode, decode, both = build(spec, modalities, plugins=plugins).graphs()[:3]
    translate = translate_graph("right", "left", encode, decode)
    assert [(graph.kind, graph.source, graph.target, graph.raw) for graph in (encode, decode, both, translate)] == [
        ("encode", "right", "", False),
        ("decode", "", "right", False),
        ("reconstruct", "right", "right", False),
        ("translate", "right", "left", False),
    ]


@pytest.mark.parametrize("name", ["to", "values", "training"])
def test_an_input_that_is_called_like_what_torch_keeps_for_itself_is_refused(name, spec, modalities, plugins):
    first, *others = spec.inputs
    inputs = (replace(first, name=name), *others)
    with pytest.raises(SpecError, match=rf"spec\.inputs\.{name}: torch keeps this name for itself; choose another"):
        build(replace(spec, inputs=inputs), {**modalities, name: modalities[first.name]}, plugins=plugins)


def test_two_graphs_of_one_name_are_refused(spec, modalities, plugins, monkeypatch):
    model = build(spec, modalities, plugins=plugins)
    made = list(model.objective.graphs())
    monkeypatch.setattr(model.objective, "graphs", lambda: [*made, replace(made[0])])
    with pytest.raises(SpecError, match="two graphs of this model are called 'encode_right'; give an input another"):
        model.graphs()


def test_encoding_and_decoding_is_reconstructing(checkpoint):
    encode, decoder, both = checkpoint.model.graphs(["encode_left", "decode_left", "reconstruct_left"])
    arrays = as_tensors(both.draw(3, {"left.length": 4}, np.random.default_rng(0)))
    latent = encode.module(arrays)["encode_left.latent"]
    total = decoder.module({"latent": latent})["decode_left.total"]
    assert torch.equal(both.module(arrays)["reconstruct_left.total"], total)


def changed(spec, **parts):
    """Change the first input of a spec."""
    first, *others = spec.inputs
    return replace(spec, inputs=(replace(first, **parts), *others))


def test_a_modality_of_width_0_is_refused(spec, modalities, plugins):
    narrow = {**modalities, "left": replace(modalities["left"], width=0)}
    message = (
        "spec.inputs.left.modality 'vectors': its tensor 'values' has the axes batch, length, 0, one of which is at "
        "most 0; set the options of the modality that give the width of a value to at least 1"
    )
    with pytest.raises(SpecError, match=re.escape(message)):
        build(spec, narrow, plugins=plugins)


class WithPresence(VectorsModality):
    @property
    def tensors(self):
        return {**super().tensors, "present": TensorSpec("bool", ("batch",))}


def test_a_tensor_that_is_called_like_the_one_that_tells_of_gaps_is_refused(spec, modalities, plugins):
    message = (
        "spec.inputs.left.modality 'vectors': its tensor 'present' has the name of the tensor by which graphs say "
        "which rows have the input; give it another name in the modality's class"
    )
    with pytest.raises(SpecError, match=re.escape(message)):
        build(spec, {**modalities, "left": WithPresence()}, plugins=plugins)


EMPTY = pytest.mark.filterwarnings("ignore:Initializing zero-element tensors is a no-op")  # torch's own


@EMPTY
def test_a_part_of_width_0_is_refused_by_its_parameter(spec, modalities, plugins):
    part = replace(spec.inputs[0], encoder=Part("linear", {"features": 0}))
    message = (
        r"the parameter 'encoders.right.linear.weight' has the shape \(0, \d\), which holds no number; set the options"
    )
    with pytest.raises(SpecError, match=message):
        build(replace(spec, inputs=(part, *spec.inputs[1:])), modalities, plugins=plugins)


@EMPTY
def test_a_latent_of_width_0_is_refused_from_python_too(spec, modalities, plugins):
    with pytest.raises(SpecError, match="which holds no number"):
        build(replace(spec, latent_dim=0), modalities, plugins=plugins)


def test_an_objective_that_needs_decoders_names_those_there_are(spec, modalities, plugins):
    expected = (
        "spec.inputs.right: the objective 'toy-autoencoder' needs a decoder here; add decoder = NAME, one of gaussian"
    )
    with pytest.raises(SpecError, match=f"^{expected}$"):
        build(changed(spec, decoder=None), modalities, plugins=plugins)


def test_an_objective_without_decoders_needs_none(spec, modalities, plugins):
    spec = replace(changed(spec, decoder=None), objective=Part("toy-alignment"))
    assert build(spec, modalities, plugins=plugins).parameter_count > 0


def test_a_missing_encoder_is_told(spec, modalities, plugins):
    with pytest.raises(
        SpecError, match=r"spec.inputs.right: the key 'encoder' is missing; name one of this modality's"
    ):
        build(changed(spec, encoder=None), modalities, plugins=plugins)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"encoder": Part("liner")},
            r"no encoder 'vectors/liner'; available: vectors/linear\. Did you mean 'vectors/linear'",
        ),
        ({"decoder": Part("gauss")}, r"no decoder 'vectors/gauss'; available: vectors/gaussian\. Did you mean"),
    ],
)
def test_an_unknown_part_names_the_nearest(change, message, spec, modalities, plugins):
    with pytest.raises(UnknownNameError, match=message):
        build(changed(spec, **change), modalities, plugins=plugins)


def test_the_terms_are_means_over_the_rows_that_count():
    losses = Losses(torch.tensor(1.0), {"a": torch.tensor([2.0, 0.0, 4.0])}, torch.tensor([1.0, 0.0, 1.0]))
    assert losses.means()["a"] == 3
    nothing = Losses(torch.tensor(0.0), {"a": torch.zeros(2)}, torch.zeros(2))
    assert nothing.means()["a"] == 0


def test_a_term_is_a_mean_over_the_rows_that_it_concerns():
    terms = {"a": torch.tensor([2.0, 0.0, 4.0]), "b": torch.tensor([0.0, 6.0, 0.0])}
    losses = Losses(torch.tensor(1.0), terms, torch.ones(3), {"b": torch.tensor([False, True, False])})
    assert {name: float(mean) for name, mean in losses.means().items()} == {"a": 2, "b": 6}
    assert {name: int(count) for name, count in losses.counts().items()} == {"a": 3, "b": 1}


def test_a_loss_over_rows_is_the_mean_of_the_weighed_sum_of_its_terms():
    terms = {"a": torch.tensor([2.0, math.nan, 4.0]), "b": torch.tensor([10.0, math.nan, 30.0])}
    losses = Losses.over(torch.tensor([True, False, True]), terms, {"b": 0.5})
    assert losses.loss == (2 + 5 + 4 + 15) / 2
    assert losses.weight.tolist() == [1, 0, 1]
    assert {name: term.tolist() for name, term in losses.terms.items()} == {"a": [2, 0, 4], "b": [10, 0, 30]}


def test_a_loss_over_rows_counts_a_term_where_the_row_and_the_term_both_count():
    terms = {"a": torch.tensor([2.0, 6.0, 4.0]), "b": torch.tensor([1.0, 3.0, math.nan])}
    losses = Losses.over(torch.tensor([True, False, True]), terms, concerned={"b": torch.tensor([True, True, False])})
    assert losses.loss == (2 + 1 + 4) / 2
    assert {name: float(mean) for name, mean in losses.means().items()} == {"a": 3, "b": 1}
    assert losses.rows["b"].tolist() == [True, False, False]


def test_a_loss_over_no_rows_is_zero_with_gradients_of_zero():
    values = torch.tensor([2.0, 3.0], requires_grad=True)
    losses = Losses.over(torch.zeros(2, dtype=torch.bool), {"a": values})
    losses.loss.backward()
    assert (losses.loss, values.grad.tolist()) == (0, [0, 0])


def test_the_sum_of_means_divides_each_term_by_its_own_rows():
    terms = {"a": torch.tensor([2.0, 9.0, 4.0, 9.0]), "b": torch.tensor([6.0, math.nan, 0.0, 9.0])}
    rows = {"a": torch.tensor([True, False, True, False]), "b": torch.tensor([True, False, False, False])}
    losses = Losses.of_means(terms, rows)
    assert losses.loss == 3 + 6
    assert losses.weight.tolist() == [1, 0, 1, 0]
    assert losses.terms["b"].tolist() == [6, 0, 0, 0]


def test_a_term_that_no_row_contributes_to_counts_none():
    losses = Losses.of_means({"a": torch.ones(2)}, {"a": torch.zeros(2, dtype=torch.bool)})
    assert (losses.loss, int(losses.counts()["a"])) == (0, 0)


def test_rows_of_a_batch_without_gaps_are_taken_as_they_are(checkpoint, plugins):
    from zoo.discovery.components import make_dataset

    samples = make_dataset(checkpoint.recipe.data, plugins).split("test")[:6]
    batch = to_batch(samples, checkpoint.model.modalities)
    again = batch.take(torch.tensor([4, 1]))
    assert again.rows == 2
    assert torch.equal(again.inputs["left"]["values"][1], batch.inputs["left"]["values"][1])


def test_a_gap_does_not_change_the_losses_of_other_rows(checkpoint, plugins, make_recipe):
    from zoo.discovery.components import make_dataset

    samples = make_dataset(make_recipe(data={"gaps": True}).data, plugins).split("test")[:6]
    noise = {"latent": torch.zeros(6, 2)}
    dirty = to_batch(samples, checkpoint.model.modalities)
    clean = checkpoint.model.losses(dirty, noise)
    dirty.inputs["right"]["values"][~dirty.present["right"]] = torch.nan
    assert torch.equal(checkpoint.model.losses(dirty, noise).loss, clean.loss)


def test_latents_with_leading_axes_are_decoded_at_once(checkpoint):
    decoder = checkpoint.model.objective.decoders["left"]
    latent = torch.randn(4, 5, 2, generator=torch.Generator().manual_seed(0))
    folded = decode(decoder, latent)
    assert isinstance(folded, Folded)
    each = torch.stack([decoder(row).mode()["total"] for row in latent])
    assert torch.allclose(folded.mode()["total"], each, atol=1e-6)
    tensors = {"values": torch.randn(5, 2, 3), "mask": torch.ones(5, 2, dtype=torch.bool)}
    expected = torch.stack([decoder(row).log_prob(tensors) for row in latent])
    assert torch.allclose(folded.log_prob(tensors), expected, atol=1e-5)
    assert folded.sample(torch.Generator())["total"].shape == (4, 5, 3)
