"""Optimisers and schedules by name, parts that are frozen or have their own rate, clipping; resume stays exact."""

import math
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from zoo.errors import SpecError
from zoo.models.batches import fit_modality
from zoo.models.build import build
from zoo.models.parts import Parts
from zoo.recipes.training import Training
from zoo.training.freezing import freeze
from zoo.training.lion import Lion
from zoo.training.optimisers import grouped, optimisers
from zoo.training.runs import read_log
from zoo.training.schedules import learning_rate
from zoo.training.train import train


@pytest.fixture(scope="module")
def fresh(plugins, make_recipe):
    """Build the toy model; its weights are the same each time."""
    from zoo_toy.dataset import ToyDataset

    from zoo.discovery.components import make_modalities

    recipe = make_recipe()
    samples = ToyDataset().split("train")
    fitted = {name: fit_modality(one, samples, name) for name, one in make_modalities(recipe.spec, plugins).items()}
    return lambda: build(recipe.spec, fitted, plugins=plugins)


@pytest.mark.parametrize(
    "settings",
    [
        {"optimiser": "adam", "weight_decay": 0.1, "schedule": "linear", "floor": 0.1},
        {"optimiser": "adamw", "beta2": 0.98, "schedule": "one-cycle"},
        {"optimiser": "sgd", "schedule": "cosine", "floor": 0.2, "warmup_steps": 4, "clip_norm": 0.5},
        {"optimiser": "sgd", "momentum": 0, "weight_decay": 0.01},
        {"optimiser": "lion", "weight_decay": 0.1, "learning_rate": 0.001, "schedule": "linear"},
        {"optimiser": "muon", "weight_decay": 0.1, "schedule": "one-cycle", "warmup_steps": 5},
        {"freeze": ["left.encoder"], "learning_rates": {"right.encoder": 1e-4}, "weight_decay": 0.01},
    ],
    ids=lambda settings: settings.get("optimiser", "parts"),
)
def test_each_optimiser_and_schedule_goes_on_bit_for_bit(settings, make_recipe, plugins, tmp_path, interrupted):
    recipe = make_recipe(**{"checkpoint_every": 7, "steps": 23, **settings})
    whole = train(recipe, tmp_path / "whole", plugins=plugins)
    parts = interrupted(recipe, tmp_path / "parts")
    assert parts.read_bytes() == whole.read_bytes()
    state = [path.with_name("optimisers.safetensors").read_bytes() for path in (whole, parts)]
    assert state[0] == state[1]
    assert (tmp_path / "parts/log.jsonl").read_bytes() == (tmp_path / "whole/log.jsonl").read_bytes()


@pytest.mark.parametrize("optimiser", ["sgd", "lion", "muon"])
def test_each_optimiser_learns(optimiser, make_recipe, plugins, tmp_path):
    train(make_recipe(steps=50, optimiser=optimiser, clip_norm=10), tmp_path, plugins=plugins)
    losses = [line["loss"] for line in read_log(tmp_path / "log.jsonl")]
    assert losses[-1] < 0.9 * losses[0]


def test_settings_that_are_not_given_leave_a_recipe_as_it_was_written_before(make_recipe):
    written = make_recipe().written()["training"]
    assert [*written] == [
        *("steps", "batch_size", "learning_rate", "weight_decay", "warmup_steps", "schedule", "checkpoint_every"),
        *("seed", "accumulate", "precision", "compile", "workers", "validate_every", "trackers"),
    ]
    assert make_recipe(clip_norm=1).written()["training"] == {**written, "clip_norm": 1.0}


def test_lion_takes_the_steps_of_its_paper():
    weight = nn.Parameter(torch.tensor([1.0, -2.0, 0.5]))
    lion = Lion([{"params": [weight]}], lr=0.1, betas=(0.9, 0.99), weight_decay=0.5)
    momentum, expected = torch.zeros(3), weight.detach().clone()
    for gradient in (torch.tensor([1.0, -1.0, 0.0]), torch.tensor([-0.2, 3.0, 0.1])):
        weight.grad = gradient.clone()
        lion.step()
        direction = torch.sign(0.9 * momentum + 0.1 * gradient)
        expected = expected - 0.1 * (direction + 0.5 * expected)
        momentum = 0.99 * momentum + 0.01 * gradient
    assert torch.allclose(weight, expected, atol=1e-6)


def test_lion_leaves_a_parameter_without_a_gradient():
    weight, other = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(2))
    weight.grad = torch.ones(2)
    Lion([{"params": [weight, other]}, {"params": [nn.Parameter(torch.ones(1))]}], lr=0.1, weight_decay=1.0).step()
    assert torch.equal(other, torch.ones(2))
    assert torch.allclose(weight, torch.full((2,), 0.8))


def test_muon_takes_matrices_and_leaves_vectors_and_tables_to_adamw(fresh):
    model = fresh()
    model.objective.words = nn.Embedding(7, 3)
    made = optimisers(list(model.objective.parameters()), Parts.of(model), Training(optimiser="muon"))
    taken = {end: [one for group in made[end].param_groups for one in group["params"]] for end in made}
    assert {end: type(one).__name__ for end, one in made.items()} == {"": "Muon", "rest": "Adam"}
    assert {one.dim() for one in taken[""]} == {2}
    assert any(one is model.objective.words.weight for one in taken["rest"])
    assert len(taken[""]) + len(taken["rest"]) == len(list(model.objective.parameters()))


def test_muon_without_a_torch_that_has_it_is_refused(fresh, monkeypatch):
    monkeypatch.delattr(torch.optim, "Muon")
    model = fresh()
    with pytest.raises(SpecError, match=r"training.optimiser 'muon' needs torch 2.9 or newer, this is 2"):
        optimisers(list(model.objective.parameters()), Parts.of(model), Training(optimiser="muon"))


def test_weight_decay_leaves_norms_biases_and_vectors_alone(fresh):
    model = fresh()
    model.objective.norm = nn.LayerNorm((3, 2))
    model.objective.shift = nn.ParameterDict({"bias": nn.Parameter(torch.zeros(2, 2))})
    groups = grouped(list(model.objective.parameters()), Parts.of(model), Training(weight_decay=0.1))[""]
    decays = {id(one): group["weight_decay"] for group in groups for one in group["params"]}
    for name, parameter in model.objective.named_parameters():
        assert decays[id(parameter)] == (0.1 if name.endswith(("linear.weight",)) else 0.0), name


def test_a_frozen_part_keeps_its_weights_and_is_in_no_optimiser(make_recipe, plugins, tmp_path, fresh, caplog, weights):
    start = fresh().objective.state_dict()
    path = train(make_recipe(freeze=["left.encoder", "heads.left.linear.bias"]), tmp_path, plugins=plugins)
    for name, tensor in weights(path).items():
        frozen = name.startswith("encoders.left.") or name == "heads.left.linear.bias"
        assert torch.equal(tensor, start[name]) == frozen, name
    saved = load_file(path.with_name("optimisers.safetensors"))
    assert len({key.split("/")[1] for key in saved}) == len(start) - 3
    told = "frozen: left.encoder (20 weights), heads.left.linear.bias (2 weights); 60 weights are trained"
    assert told in caplog.messages
    assert read_log(tmp_path / "log.jsonl")[0] == {"step": 0, "frozen": ["left.encoder", "heads.left.linear.bias"]}


def test_a_frozen_part_has_no_dropout_and_keeps_the_statistics_of_batches(fresh):
    model = fresh()
    inner = nn.Sequential(nn.BatchNorm1d(5), nn.Dropout(0.5))
    model.objective.encoders["left"].inner = inner
    frozen = freeze(model, Parts.of(model), Training(freeze=("left.encoder",)))
    model.objective.train()
    frozen.hold()
    assert not inner[0].training
    assert not inner[1].training
    assert model.objective.encoders["right"].training
    assert not any(one.requires_grad for one in inner.parameters())


def test_an_unknown_part_is_refused_with_the_known_ones(make_recipe, plugins, tmp_path):
    for key, value in (("freeze", ["left.encoderr"]), ("learning_rates", {"left.encoderr": 0.1})):
        with pytest.raises(SpecError) as caught:
            train(make_recipe(**{key: value}), tmp_path, plugins=plugins)
        assert str(caught.value) == (
            f"training.{key}: no part 'left.encoderr' with weights; this model has right.encoder, left.encoder, "
            "right.decoder, left.decoder, heads, and dots lead into them, as in right.encoder.NAME. Did you mean "
            "'left.encoder'?"
        )


def test_a_model_that_is_frozen_as_a_whole_is_refused(make_recipe, plugins, tmp_path):
    everything = ["left.encoder", "right.encoder", "left.decoder", "right.decoder", "heads"]
    with pytest.raises(SpecError, match=r"training.freeze leaves nothing to train of 'model'; take a part out of it"):
        train(make_recipe(freeze=everything), tmp_path, plugins=plugins)


def test_a_part_has_one_setting(make_recipe):
    expected = r"training: 'heads' is in 'freeze' and in 'learning_rates'; take it out of one of them"
    with pytest.raises(SpecError, match=expected):
        make_recipe(freeze=["heads"], learning_rates={"heads": 0.1})


def test_muon_is_refused_at_a_precision_that_scales_gradients(make_recipe):
    expected = r"'optimiser' = 'muon' has two optimisers, which 'fp16' cannot scale; use 'bf16'"
    with pytest.raises(SpecError, match=expected):
        make_recipe(optimiser="muon", precision="fp16")


def test_a_rate_of_a_part_counts_for_it_alone_and_the_longest_name_wins(fresh):
    model = fresh()
    settings = Training(learning_rates={"left.encoder": 1e-5, "left.encoder.linear.bias": 1e-6})
    groups = grouped(list(model.objective.parameters()), Parts.of(model), settings)[""]
    rates = {id(one): group["lr"] for group in groups for one in group["params"]}
    for name, parameter in model.objective.named_parameters():
        expected = {"encoders.left.linear.weight": 1e-5, "encoders.left.linear.bias": 1e-6}.get(name, 1e-3)
        assert rates[id(parameter)] == expected


def test_a_part_with_a_tiny_rate_hardly_moves(make_recipe, plugins, tmp_path, fresh, weights):
    start = fresh().objective.state_dict()
    recipe = make_recipe(learning_rates={"left.encoder": 1e-9}, schedule="cosine")
    moved = {
        name: float((tensor - start[name]).abs().max())
        for name, tensor in weights(train(recipe, tmp_path, plugins=plugins)).items()
    }
    assert max(size for name, size in moved.items() if name.startswith("encoders.left")) < 1e-7
    assert min(size for name, size in moved.items() if name.startswith("encoders.right")) > 1e-3


def test_a_rate_by_a_dotted_key_is_read_as_that_of_a_part(make_recipe):
    recipe = make_recipe().with_options(["training.learning_rates.left.encoder=1e-5"])
    assert recipe.training.learning_rates == {"left.encoder": 1e-5}
    assert type(recipe).read(recipe.written(), "again") == recipe


def test_a_gradient_is_clipped_at_its_norm(make_recipe, plugins, tmp_path, weights):
    """Steps of SGD are as long as the gradient."""
    settings = {"optimiser": "sgd", "momentum": 0, "steps": 1, "learning_rate": 1.0, "clip_norm": 0.25}
    path = train(make_recipe(**settings), tmp_path / "clipped", plugins=plugins)
    start = train(make_recipe(**{**settings, "learning_rate": 1e-12}), tmp_path / "start", plugins=plugins)
    before, after = weights(start), weights(path)
    assert math.sqrt(sum(float((after[name] - before[name]).square().sum()) for name in after)) == pytest.approx(0.25)


def test_a_linear_rate_falls_to_its_floor():
    settings = Training(learning_rate=2.0, steps=110, warmup_steps=10, schedule="linear", floor=0.1)
    assert learning_rate(settings, 4) == pytest.approx(1.0)
    assert learning_rate(settings, 10) == 2.0
    assert learning_rate(settings, 60) == pytest.approx(1.1)
    assert learning_rate(settings, 110) == pytest.approx(0.2)
    assert learning_rate(settings, 60, base=1.0) == pytest.approx(0.55)


def test_a_cosine_falls_to_its_floor():
    settings = Training(learning_rate=2.0, steps=100, schedule="cosine", floor=0.5)
    assert learning_rate(settings, 50) == pytest.approx(1.5)
    assert learning_rate(settings, 100) == pytest.approx(1.0)


def test_one_cycle_has_the_rates_of_torch():
    settings = Training(learning_rate=0.5, steps=50, schedule="one-cycle", warmup_steps=14)
    made = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)
    expected = torch.optim.lr_scheduler.OneCycleLR(
        made, max_lr=0.5, total_steps=50, pct_start=0.3, cycle_momentum=False
    )
    for step in range(50):
        assert learning_rate(settings, step) == pytest.approx(expected.get_last_lr()[0], rel=1e-6)
        made.step()
        if step < 49:
            expected.step()


def test_a_cycle_rises_in_three_tenths_of_the_steps():
    settings = Training(learning_rate=0.5, steps=50, schedule="one-cycle")
    assert learning_rate(settings, 0) == pytest.approx(0.02)
    assert learning_rate(settings, 15) == 0.5


def test_a_part_that_is_no_longer_frozen_starts_without_a_state(make_recipe, plugins, tmp_path):
    train(make_recipe(freeze=["left.encoder"]), tmp_path, plugins=plugins)
    path = train(make_recipe(steps=13), tmp_path, resume=True, accept_changes=True, plugins=plugins)
    saved = load_file(path.with_name("optimisers.safetensors"))
    assert sorted({int(one) for key, one in saved.items() if key.endswith("/step")}) == [1, 13]


def test_another_optimiser_starts_without_a_state(make_recipe, plugins, tmp_path):
    train(make_recipe(), tmp_path, plugins=plugins)
    path = train(make_recipe(steps=13, optimiser="lion"), tmp_path, resume=True, accept_changes=True, plugins=plugins)
    assert {key.rsplit("/", 1)[1] for key in load_file(path.with_name("optimisers.safetensors"))} == {"exp_avg"}


def test_the_defaults_are_adam_at_a_constant_rate(fresh):
    model = fresh()
    made = optimisers(list(model.objective.parameters()), Parts.of(model), Training())
    assert [*made] == [""]
    assert type(made[""]) is torch.optim.Adam
    decayed = optimisers(list(model.objective.parameters()), Parts.of(model), replace(Training(), weight_decay=0.1))
    assert type(decayed[""]) is torch.optim.AdamW
