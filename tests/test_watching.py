"""The best checkpoint by a metric, kept and taken by default; plateaus, early stopping, epochs, averaged weights."""

import json
import shutil

import pytest
import torch

from zoo.errors import IntegrityError, SpecError, TrainingError
from zoo.evaluation.metrics import highest_is_best
from zoo.models.checkpoint import load
from zoo.recipes.training import Training
from zoo.training.averaging import Averages
from zoo.training.choosing import chosen, read_best
from zoo.training.runs import Run, read_log
from zoo.training.schedules import learning_rate
from zoo.training.train import train
from zoo.training.watching import Watched, value_of

WATCHING = {"validate_every": 2, "best": "error", "checkpoint_every": 7, "steps": 23}


@pytest.fixture
def measured(monkeypatch):
    """Let validation measure errors that are given one by one, without the one before the first step."""

    def as_given(*values):
        left = iter(values)

        def measure(model, recipe, held_out):
            value = next(left, None)
            if value is None:
                raise RuntimeError("no value is left")
            return {"error": value, "rows": 1.0}

        monkeypatch.setattr("zoo.training.validating.measure", measure)

    return as_given


def steps_of(folder):
    return list(Run(folder).saved())


def test_the_best_checkpoint_is_kept_and_taken_by_default(make_recipe, plugins, tmp_path, measured):
    measured(5, 3, 4, 6, 7, 8, 9, 9, 9, 9, 9, 9)
    last = train(make_recipe(**WATCHING), tmp_path, plugins=plugins)
    assert steps_of(tmp_path) == [4, 21, 23]
    assert json.loads((tmp_path / "best.json").read_text()) == {
        **{"metric": "error", "is": "lowest", "value": 3.0, "step": 4, "checkpoint": "checkpoint-00000004"}
    }
    found = chosen(tmp_path)
    assert found.weights == tmp_path / "checkpoint-00000004/model.safetensors"
    assert found.told == (
        f"{tmp_path}: the checkpoint with the lowest error, 3, at step 4, is taken; `last=True` takes the newest"
    )
    assert chosen(tmp_path, last=True).weights == last


def test_the_commands_take_the_best_checkpoint_and_say_so(zoo, recipe_file, tmp_path, measured, caplog):
    measured(5, 3, 4, 6)
    run = tmp_path / "run"
    trained = zoo("train", recipe_file(steps=8, validate_every=2, best="error"), "--out", run)
    assert trained.stdout.strip() == str(run / "checkpoint-00000004/model.safetensors")
    told = f"{run}: the checkpoint with the lowest error, 3, at step 4, is taken; `last=True` takes the newest"
    commands = [("evaluate", run, "--json"), ("export", run, "--to", "toy", "--out", tmp_path / "bundle")]
    for command in commands:
        caplog.clear()
        assert zoo(*command, "--last").exit_code == 0
        assert told not in caplog.messages
        assert zoo(*command).exit_code == 0
        assert caplog.messages.count(told) == 1
    assert zoo(*commands[0]).json["error"] != zoo(*commands[0], "--last").json["error"]


def test_python_takes_the_best_checkpoint_and_the_last_if_asked(recipe_file, tmp_path, measured, plugins):
    from zoo.verbs.evaluate import evaluate
    from zoo.verbs.load import load as opened
    from zoo.verbs.train import train as trained

    measured(3, 4)
    run = trained(recipe_file(steps=4, validate_every=2, best="error"), tmp_path / "run", plugins=plugins)
    assert (run.weights.parent.name, run.steps) == ("checkpoint-00000002", 4)
    best, last = (opened(str(run.folder), last=last, plugins=plugins) for last in (False, True))
    assert best.sha256 != last.sha256
    assert evaluate(run, plugins=plugins)["error"] == evaluate(best, plugins=plugins)["error"]
    assert evaluate(run, last=True, plugins=plugins)["error"] == evaluate(last, plugins=plugins)["error"]


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"schedule": "plateau", "plateau_patience": 1, "plateau_factor": 0.5, "floor": 0.1},
        {"ema": 0.9, "optimiser": "sgd", "clip_norm": 1},
        {"stop_after": 5, "best_is": "highest"},
        {"best": "", "ema": 0.99, "epochs": 6},
    ],
    ids=["best", "plateau", "ema", "stop", "epochs"],
)
def test_going_on_keeps_the_best_the_averages_and_the_plateaus(settings, make_recipe, plugins, tmp_path, interrupted):
    recipe = make_recipe(**{**WATCHING, **settings})
    whole = train(recipe, tmp_path / "whole", plugins=plugins)
    parts = interrupted(recipe, tmp_path / "parts", at=10)
    for name in ("model.safetensors", "optimisers.safetensors", "state.json"):
        assert parts.with_name(name).read_bytes() == whole.with_name(name).read_bytes()
    assert (tmp_path / "parts/log.jsonl").read_bytes() == (tmp_path / "whole/log.jsonl").read_bytes()
    assert steps_of(tmp_path / "parts") == steps_of(tmp_path / "whole")
    assert chosen(tmp_path / "parts").weights.read_bytes() == chosen(tmp_path / "whole").weights.read_bytes()


def test_a_measurement_that_was_interrupted_is_made_up_for(make_recipe, plugins, tmp_path, monkeypatch):
    from zoo.training.stopping import Stopped
    from zoo.training.validating import Validation

    recipe = make_recipe(steps=8, validate_every=4, best="error")
    train(recipe, tmp_path / "whole", plugins=plugins)

    def stopped(validation):
        raise Stopped

    with monkeypatch.context() as patch:
        patch.setattr(Validation, "measure", stopped)
        with pytest.raises(SystemExit):
            train(recipe, tmp_path / "parts", plugins=plugins)
    train(recipe, tmp_path / "parts", resume=True, plugins=plugins)
    assert (tmp_path / "parts/log.jsonl").read_bytes() == (tmp_path / "whole/log.jsonl").read_bytes()
    assert (tmp_path / "parts/best.json").read_bytes() == (tmp_path / "whole/best.json").read_bytes()


def test_a_plateau_lowers_the_rate(make_recipe, plugins, tmp_path, measured, caplog):
    measured(5, 5, 6, 5, 5, 4)
    settings = {"schedule": "plateau", "plateau_patience": 2, "plateau_factor": 0.1}
    train(make_recipe(**{**WATCHING, "steps": 12, **settings}), tmp_path, plugins=plugins)
    lowered = [message for message in caplog.messages if "lowered" in message]
    assert lowered == [f"step {step}: error is no better; the learning rate is lowered" for step in (6, 10)]
    rates = [learning_rate(Training(**settings, floor=0.05), 9, lowered=count) for count in (0, 1, 2)]
    assert rates == pytest.approx([1e-3, 1e-4, 5e-5])


def test_training_ends_early_if_the_metric_is_no_better(make_recipe, plugins, tmp_path, measured, caplog):
    measured(5, 4, 4, 4, 3)
    recipe = make_recipe(**WATCHING, stop_after=2)
    path = train(recipe, tmp_path, plugins=plugins)
    assert path.parent.name == "checkpoint-00000008"
    assert "training ends early at step 8: no better than the lowest error, 4, at step 4" in caplog.messages
    assert read_log(tmp_path / "log.jsonl")[-1] == {"step": 8, "ended_early": "error"}
    assert train(recipe, tmp_path, resume=True, plugins=plugins) == path
    assert chosen(tmp_path).weights.parent.name == "checkpoint-00000004"


def test_a_metric_that_is_no_number_is_not_the_best(make_recipe, plugins, tmp_path, measured):
    measured(float("nan"), 4, float("nan"), float("-inf"))
    train(make_recipe(steps=8, validate_every=2, best="error"), tmp_path, plugins=plugins)
    assert read_best(tmp_path).step == 4


def test_an_unknown_metric_is_refused_before_the_first_step(make_recipe, plugins, tmp_path):
    with pytest.raises(SpecError, match=r"^training.best: no metric 'recall@10'; validation measures error, rows$"):
        train(make_recipe(validate_every=2, best="recall@10"), tmp_path, plugins=plugins)
    assert not (tmp_path / "recipe.toml").exists()


def test_a_metric_whose_direction_is_unknown_needs_it_told(make_recipe, plugins, tmp_path):
    expected = r"whether a high 'rows' is good is unknown; set training.best_is to 'highest' or 'lowest'"
    with pytest.raises(SpecError, match=expected):
        train(make_recipe(validate_every=2, best="rows"), tmp_path, plugins=plugins)
    train(make_recipe(validate_every=2, best="rows", best_is="highest"), tmp_path, plugins=plugins)
    assert read_best(tmp_path).step == 2


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        *[("en.caption_to_picture.recall@10", True), ("map", True), ("picture.latent.class.probe", True)],
        *[("nll", False), ("median_rank", False), ("denoised_error", False), ("conditional_nll", False)],
        *[("effective_rank", True), ("gallery", None), ("kl", None)],
    ],
)
def test_the_direction_of_known_metrics(metric, expected):
    assert highest_is_best(metric) is expected


def test_a_metric_by_its_end_is_the_mean_of_all_that_have_it():
    measured = {"a.recall@10": 0.2, "b.recall@10": 0.6, "b.recall@1": 0.1}
    assert value_of("recall@10", measured) == pytest.approx(0.4)
    assert value_of("b.recall@10", measured) == 0.6
    assert value_of("recall@5", measured) is None


def test_a_metric_that_is_missing_later_is_told():
    with pytest.raises(TrainingError, match=r"validation at step 4 did not measure 'error', which training.best names"):
        Watched("error", highest=False).after(4, {"rows": 1.0}, Training())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"best": "error"}, "'best' needs 'validate_every', the number of steps between measurements"),
        ({"stop_after": 3}, "'stop_after' = 3 needs 'best', the metric that it looks at"),
        ({"schedule": "plateau"}, "'schedule' = 'plateau' needs 'best', the metric that it looks at"),
        ({"best_is": "lowest"}, "'best_is' = 'lowest' needs 'best', the metric that it looks at"),
    ],
)
def test_settings_that_need_another_are_refused(settings, message, make_recipe):
    with pytest.raises(SpecError, match=f"^toy.toml: training: {message}$"):
        make_recipe(**settings)


def test_a_best_checkpoint_that_is_gone_is_told(make_recipe, plugins, tmp_path, measured, caplog):
    measured(3, 4, 5, 6, 7)
    train(make_recipe(steps=6, validate_every=2, best="error"), tmp_path, plugins=plugins)
    shutil.rmtree(tmp_path / "checkpoint-00000002")
    with pytest.raises(IntegrityError, match=r"the best of this run, is not there; take the newest with `last=True`"):
        chosen(tmp_path)
    train(make_recipe(steps=8, validate_every=2, best="error"), tmp_path, resume=True, plugins=plugins)
    assert any("is not there; the best is looked for anew" in message for message in caplog.messages)
    assert read_best(tmp_path).step == 8


def test_a_damaged_best_file_is_told(make_recipe, plugins, tmp_path):
    train(make_recipe(steps=2, validate_every=2, best="error"), tmp_path, plugins=plugins)
    for content in ("{", '{"metric": 3}'):
        (tmp_path / "best.json").write_text(content)
        with pytest.raises(IntegrityError, match=r"best.json is damaged .*; delete it, and the newest checkpoint is"):
            chosen(tmp_path)


def test_epochs_decide_the_steps(make_recipe, plugins, tmp_path):
    path = train(make_recipe(epochs=3), tmp_path, plugins=plugins)
    assert path.parent.name == "checkpoint-00000012"
    assert load(path, plugins=plugins).recipe.training.steps == 12
    assert train(make_recipe(epochs=3, steps=5), tmp_path, resume=True, plugins=plugins) == path
    assert train(make_recipe(epochs=4), tmp_path, resume=True, plugins=plugins).parent.name == "checkpoint-00000016"


def test_the_saved_weights_are_the_averages_of_the_steps(make_recipe, plugins, tmp_path, weights):
    """The first steps count as much as a growing decay lets them."""
    each = []

    def watch(taken):
        each.append({name: tensor.clone() for name, tensor in taken.model.objective.state_dict().items()})

    settings = {"steps": 3, "checkpoint_every": 1}
    start = train(make_recipe(steps=1, learning_rate=1e-30), tmp_path / "start", plugins=plugins)
    mean = weights(start)
    for step in range(3):
        plain = train(make_recipe(**{**settings, "steps": step + 1}), tmp_path / str(step), plugins=plugins)
        live, decay = weights(plain), min(0.15, (1 + step) / (10 + step))
        mean = {name: decay * tensor + (1 - decay) * live[name] for name, tensor in mean.items()}
    averaged = train(make_recipe(**settings, ema=0.15), tmp_path / "ema", observe=watch, plugins=plugins)
    found = weights(averaged)
    assert all(torch.allclose(found[name], tensor, atol=1e-7) for name, tensor in mean.items())
    assert all(torch.equal(each[-1][name], tensor) for name, tensor in found.items())


def test_buffers_of_floats_are_averaged_and_frozen_weights_stay():
    module = torch.nn.Sequential(torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 1))
    module[1].weight.requires_grad_(False)
    averages, frozen = Averages(module, 0.5), module[1].weight.clone()
    module[0].running_mean += 1
    averages.update(0)
    with averages.in_place():
        assert torch.allclose(module[0].running_mean, torch.full((2,), 0.9))
        assert torch.equal(module[1].weight, frozen)
    assert torch.equal(module[0].running_mean, torch.ones(2))
    assert "1.weight" not in averages.live()


def test_weights_to_go_on_from_that_do_not_fit_are_told(make_recipe, plugins, tmp_path):
    from safetensors.torch import save_file

    from zoo.files.store import digests

    path = train(make_recipe(steps=4, ema=0.5), tmp_path, plugins=plugins)
    save_file({"other": torch.ones(1)}, path.with_name("live.safetensors"))
    state = json.loads(path.with_name("state.json").read_text())
    state["files"] = {name: one for name, one in digests(path.parent).items() if name != "state.json"}
    path.with_name("state.json").write_text(json.dumps(state))
    expected = (
        r"holds 'other' of the shape \(1,\), which this model does not have; delete .* and `resume=True` continues"
    )
    with pytest.raises(IntegrityError, match=expected):
        train(make_recipe(steps=5, ema=0.5), tmp_path, resume=True, plugins=plugins)


def test_without_a_watched_metric_a_run_has_no_best(make_recipe, plugins, tmp_path):
    path = train(make_recipe(steps=2), tmp_path, plugins=plugins)
    assert not (tmp_path / "best.json").exists()
    assert chosen(tmp_path).weights == path
    assert json.loads(path.with_name("state.json").read_text()).keys() == {
        *("step", "recipe", "rows", "processes", "files")
    }


def test_a_training_that_fails_leaves_the_best_of_what_was_measured(make_recipe, plugins, tmp_path, measured):
    measured(5, 3, 4)
    with pytest.raises(RuntimeError, match="no value is left"):
        train(make_recipe(**WATCHING), tmp_path, plugins=plugins)
    assert chosen(tmp_path).weights.parent.name == "checkpoint-00000004"
