"""A step is the same in parts, at other precision within its rounding, and says what to do if it cannot be."""

import itertools

import numpy as np
import pytest
import torch
from zoo_toy.modality import VectorsModality

from zoo.errors import SpecError, TrainingError, UsageError
from zoo.models.build import build
from zoo.models.checkpoint import load
from zoo.modules import Batch
from zoo.recipes.training import Training
from zoo.training.launching import accelerator_for
from zoo.training.loop import Loop
from zoo.training.runs import read_log
from zoo.training.schedules import learning_rate
from zoo.training.train import train


def weights(path, plugins):
    return load(path, plugins=plugins).model.objective.state_dict()


def largest_difference(one, other):
    return max(float((one[name] - other[name]).abs().max()) for name in one)


@pytest.mark.parametrize("parts", [2, 3, 8])
@pytest.mark.parametrize(
    ("objective", "gaps"), [("toy-autoencoder", False), ("toy-autoencoder", True), ("toy-by-term", True)]
)
def test_a_batch_in_parts_gives_the_gradient_of_the_whole(
    parts, objective, gaps, make_recipe, plugins, tmp_path, trained_once
):
    recipe = make_recipe(objective, data={"gaps": gaps}, accumulate=parts)
    whole = trained_once(make_recipe(objective, data={"gaps": gaps}))
    difference = largest_difference(weights(whole, plugins), weights(train(recipe, tmp_path, plugins=plugins), plugins))
    assert difference < 1e-5
    log, of_whole = (read_log(path / "log.jsonl") for path in (tmp_path, whole.parent.parent))
    assert log[-1] == pytest.approx(of_whole[-1], rel=1e-4)


def test_in_parts_rows_of_all_parts_are_compared(make_recipe, plugins, tmp_path):
    logs = []
    for parts in (1, 3):
        train(
            make_recipe("toy-alignment", data={"gaps": True}, accumulate=parts), tmp_path / str(parts), plugins=plugins
        )
        logs.append(read_log(tmp_path / str(parts) / "log.jsonl"))
    for line, other in zip(*logs, strict=True):
        assert line == pytest.approx(other, rel=1e-5)


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory, request):
    """Train a recipe once a module."""
    done = {}

    def once(recipe):
        key = recipe.toml()
        if key not in done:
            done[key] = train(recipe, tmp_path_factory.mktemp("whole"), plugins=request.getfixturevalue("plugins"))
        return done[key]

    return once


def a_loop(plugins, make_recipe, folder, objective="toy-by-term", **settings):
    recipe = make_recipe(objective, **settings)
    modalities = {"right": VectorsModality(), "left": VectorsModality()}
    model = build(recipe.spec, modalities, plugins=plugins)
    return model, Loop(model, recipe.training, accelerator_for(recipe.training, folder))


def rows_of(model, *, rows=6, right=(), left=()):
    """Return a batch whose inputs are there in the rows that are named."""
    values = [[[0.1 * row, 1.0, -1.0]] for row in range(rows)]
    tensors = {key: torch.from_numpy(array) for key, array in model.modalities["left"].to_arrays(values).items()}
    present = {name: torch.zeros(rows, dtype=torch.bool) for name in model.modalities}
    present["right"][list(right)], present["left"][list(left)] = True, True
    return Batch(dict.fromkeys(model.modalities, tensors), present)


@pytest.mark.parametrize("parts", [1, 3])
def test_the_log_has_the_mean_of_each_term_over_the_rows_that_it_concerns(parts, plugins, make_recipe, tmp_path):
    model, loop = a_loop(plugins, make_recipe, tmp_path, accumulate=parts)
    losses = loop.step(0, rows_of(model, right=[0, 1, 5], left=[2]), 6)
    terms = loop.terms(losses)
    errors = losses["model"].terms
    assert terms["error_right"] == pytest.approx(errors["error_right"].sum().item() / 3)
    assert terms["error_left"] == pytest.approx(errors["error_left"].sum().item())
    assert terms["loss"] == pytest.approx(sum(terms[name] for name in ("error_right", "error_left", "size")))


@pytest.mark.parametrize("objective", ["toy-by-term", "toy-alignment"])
def test_a_term_that_no_row_contributes_to_has_no_mean_in_the_log(objective, plugins, make_recipe, tmp_path):
    model, loop = a_loop(plugins, make_recipe, tmp_path, objective)
    terms = loop.terms(loop.step(0, rows_of(model, right=[0, 1]), 6))
    missing = {"toy-by-term": "error_left", "toy-alignment": "nats"}[objective]
    assert missing not in terms
    assert "loss" in terms


@pytest.mark.parametrize("parts", [1, 2])
def test_the_rows_that_contributed_to_each_term_are_counted_until_asked_for(parts, plugins, make_recipe, tmp_path):
    model, loop = a_loop(plugins, make_recipe, tmp_path, accumulate=parts)
    for step, right in enumerate(([0, 1], [3])):
        loop.step(step, rows_of(model, right=right), 6)
    assert loop.contributions() == {"error_right": 3, "error_left": 0, "size": 3}
    assert loop.contributions() == {}


def test_a_step_is_taken_in_the_mode_of_training_whoever_looked_at_the_model_before(plugins, make_recipe, tmp_path):
    model, loop = a_loop(plugins, make_recipe, tmp_path)
    model.graphs()
    loop.step(0, rows_of(model, right=[0], left=[1]), 6)
    assert all(part.training for part in model.objective.modules())


def test_going_on_in_parts_gives_the_same_weights_bit_for_bit(make_recipe, plugins, tmp_path):
    settings = {"accumulate": 3, "checkpoint_every": 5}
    whole = train(make_recipe(steps=12, **settings), tmp_path / "whole", plugins=plugins)
    train(make_recipe(steps=5, **settings), tmp_path / "parts", plugins=plugins)
    parts = train(make_recipe(steps=12, **settings), tmp_path / "parts", resume=True, plugins=plugins)
    assert parts.read_bytes() == whole.read_bytes()


def test_half_precision_trains_float32_weights_close_to_the_full_ones(make_recipe, plugins, tmp_path, trained_once):
    path = train(make_recipe(precision="bf16"), tmp_path, plugins=plugins)
    half, full = weights(path, plugins), weights(trained_once(make_recipe()), plugins)
    assert {tensor.dtype for tensor in half.values()} == {torch.float32}
    assert 0 < largest_difference(half, full) < 0.05


def test_float16_needs_a_gpu(make_recipe, plugins, tmp_path):
    if torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(UsageError, match=r"'fp16' needs a GPU, training runs on 'cpu'; take 'bf16' or 'fp32'"):
        train(make_recipe(precision="fp16"), tmp_path, plugins=plugins)


@pytest.mark.verify
def test_compiled_steps_train_the_same_model(run_process, recipe_file, make_recipe, plugins, tmp_path, trained_once):
    result = run_process("train", recipe_file(compile=True), "--out", tmp_path / "run", TORCH_LOGS="graph_code")
    assert result.exit_code == 0, result.stderr
    assert "TRACED GRAPH" in result.stderr
    compiled, eager = weights(result.stdout.strip(), plugins), weights(trained_once(make_recipe()), plugins)
    assert compiled.keys() == eager.keys()
    assert largest_difference(compiled, eager) < 1e-4


def test_an_unknown_precision_is_refused(make_recipe):
    with pytest.raises(SpecError, match="'precision' takes 'fp32', 'bf16' or 'fp16', got 'fp8'"):
        make_recipe(precision="fp8")


def test_too_few_rows_for_the_parts_are_refused(make_recipe, plugins, tmp_path):
    with pytest.raises(UsageError, match=r"training.batch_size is 4, too few rows for 1 processes with accumulate 5"):
        train(make_recipe(batch_size=4, accumulate=5), tmp_path, plugins=plugins)


def test_out_of_memory_says_what_to_set(make_recipe, plugins, tmp_path, monkeypatch):
    import zoo_toy.objectives

    losses = zoo_toy.objectives.ToyAutoencoder.losses

    def greedy(self, batch, noise, *, player):
        if batch.rows > 4:
            torch.empty(1 << 55)  # a real refusal of the allocator
        return losses(self, batch, noise, player=player)

    monkeypatch.setattr(zoo_toy.objectives.ToyAutoencoder, "losses", greedy)
    with pytest.raises(TrainingError) as caught:
        train(make_recipe(batch_size=8), tmp_path / "run", plugins=plugins)
    assert str(caught.value) == (
        "out of memory at step 1 with 8 rows in 1 part; the last good checkpoint stays. Take the same batch in more "
        "parts, with training.accumulate=2, or fewer rows, with training.batch_size=4, and continue with `resume=True` "
        "and `accept_changes=True`"
    )
    train(make_recipe(batch_size=8, accumulate=2), tmp_path / "run", resume=True, plugins=plugins)


def test_another_error_of_torch_is_not_taken_for_memory(make_recipe, plugins, tmp_path, monkeypatch):
    import zoo_toy.objectives

    def wrong(self, batch, noise, *, player):
        return torch.ones(2) @ torch.ones(3)

    monkeypatch.setattr(zoo_toy.objectives.ToyAutoencoder, "losses", wrong)
    with pytest.raises(RuntimeError, match="inconsistent tensor size"):
        train(make_recipe(), tmp_path, plugins=plugins)


def test_the_learning_rate_warms_up_and_falls_to_zero():
    settings = Training(steps=100, learning_rate=1.0, warmup_steps=10, schedule="cosine")
    rates = [learning_rate(settings, step) for step in range(101)]
    assert rates[:10] == pytest.approx(np.arange(1, 11) / 10)
    assert rates[10] == 1.0
    assert rates[100] == pytest.approx(0)
    assert all(later <= sooner for sooner, later in itertools.pairwise(rates[10:]))


def test_a_constant_learning_rate_stays():
    assert {learning_rate(Training(learning_rate=0.5), step) for step in (0, 10, 999)} == {0.5}
