"""``zoo import``: which importer reads a folder, what it must return, and the cache of the hub."""

import json

import numpy as np
import pytest

import zoo as api
from zoo import IntegrityError, OfflineError, PluginError, UsageError

PLUGIN = """
from zoo import hookimpl
ZOO_API = 1
@hookimpl
def zoo_importers():
    return {"tables": "zoo_tables.reading:Tables"}
"""
READING = """
import json
import numpy as np
from zoo import DataError, Imported

class Tables:
    def recognises(self, folder):
        return (folder / "weights.json").is_file()

    def read(self, folder):
        read = json.loads((folder / "weights.json").read_text())
        if not read:
            raise DataError(f"{folder / 'weights.json'} is empty")
        parts = {name: {"modality": "vectors", "encoder": "linear"} for name in ("left", "right")}
        recipe = {"spec": {"objective": "toy-alignment", "latent_dim": 2, "inputs": parts}, "data": "toy"}
        states = {name: {"scale": np.full(3, 2.0)} for name in parts}
        weights = {name: np.array(rows, np.float32) for name, rows in read.items()}
        return Imported(recipe, states, weights, ("lost: all",))
"""
SHAPES = {"head.linear.weight": (2, 4), "head.linear.bias": (2,)}
SHAPES |= {f"encoders.{side}.linear.weight": (4, 3) for side in ("left", "right")}
SHAPES |= {f"encoders.{side}.linear.bias": (4,) for side in ("left", "right")}


@pytest.fixture
def folder(site, tmp_path):
    site.add("tables", PLUGIN, files={"reading.py": READING})
    made = tmp_path / "folder"
    made.mkdir()
    _write(made, SHAPES)
    return made


def _write(folder, shapes):
    rows = {name: np.arange(np.prod(shape)).reshape(shape).tolist() for name, shape in shapes.items()}
    (folder / "weights.json").write_text(json.dumps(rows))


def test_an_imported_model_is_a_run_with_the_weights_of_the_folder(folder, zoo, tmp_path):
    told = zoo("import", folder, "--out", tmp_path / "run")
    assert told.stderr.startswith("lost: all\nimported toy-alignment of left (vectors), right (vectors)")
    loaded = api.load(told.stdout.strip())
    weight = loaded.model.objective.get_parameter("encoders.right.linear.weight").detach().numpy()
    np.testing.assert_array_equal(weight, np.arange(12).reshape(4, 3))
    assert zoo("evaluate", tmp_path / "run").exit_code == 0


def test_training_goes_on_from_an_imported_model(folder, zoo, tmp_path):
    run = tmp_path / "run"
    zoo("import", folder, "--out", run)
    told = zoo("train", run / "recipe.toml", "-o", "training.steps=2", "--out", run, "--resume", "--accept-changes")
    assert told.stdout.strip().endswith("checkpoint-00000002/model.safetensors"), told


def test_options_set_keys_of_the_recipe_that_is_written(folder, tmp_path):
    run = api.import_model(folder, tmp_path / "run", options={"training.learning_rate": 0.5})
    assert api.Recipe.load(run.folder / "recipe.toml").training.learning_rate == 0.5
    assert repr(run).startswith(f"run {run.folder}: imported toy-alignment of left (vectors)")


def test_a_folder_that_no_importer_recognises_is_refused_with_what_it_holds(folder, zoo, tmp_path):
    (folder / "weights.json").rename(folder / "weights.txt")
    told = zoo("import", folder, "--out", tmp_path / "run")
    assert told.exit_code == 2
    assert "no importer recognises" in told.error
    assert "which holds weights.txt; installed importers: tables" in told.error


def test_a_folder_that_is_missing_is_not_found(folder, zoo, tmp_path):
    told = zoo("import", tmp_path / "nowhere", "--out", tmp_path / "run")
    assert (told.exit_code, "no folder" in told.error) == (3, True)


def test_weights_that_do_not_fit_the_recipe_are_refused_and_nothing_is_left(folder, tmp_path):
    _write(folder, {**SHAPES, "head.linear.bias": (3,)})
    with pytest.raises(IntegrityError, match=r"expected 'head.linear.bias' as float32 \(2,\), it has float32 \(3,\)"):
        api.import_model(folder, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_an_importer_tells_what_is_wrong_with_a_folder(folder, zoo, tmp_path):
    (folder / "weights.json").write_text("{}")
    told = zoo("import", folder, "--out", tmp_path / "run")
    assert told.error == f"{folder / 'weights.json'} is empty"


def test_an_importer_that_fails_is_blamed(folder, tmp_path):
    (folder / "weights.json").write_text("{")
    with pytest.raises(PluginError, match=r"the importer 'tables' of modalzoo-tables cannot be built: JSONDecodeError"):
        api.import_model(folder, tmp_path / "run")


def test_a_class_that_is_no_importer_is_refused(site, tmp_path):
    site.add("tables", PLUGIN, files={"reading.py": "class Tables: pass"})
    with pytest.raises(PluginError, match=r"expected a zoo.Importer with read, recognises"):
        api.import_model(tmp_path, tmp_path / "run")


def test_a_run_is_never_written_over(folder, tmp_path):
    api.import_model(folder, tmp_path / "run")
    with pytest.raises(UsageError, match="is a run that `zoo train` wrote"):
        api.import_model(folder, tmp_path / "run")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A cache of the hub's client that holds one repository."""
    from huggingface_hub import constants

    cache = tmp_path / "hub"
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    repository, commit = cache / "models--owner--tiny", "1" * 40
    (repository / "refs").mkdir(parents=True)
    (repository / "refs/main").write_text(commit)
    (repository / "snapshots" / commit).mkdir(parents=True)
    return repository / "snapshots" / commit


def test_a_repository_of_the_hub_is_read_from_the_cache_of_its_client(folder, hub, tmp_path):
    (hub / "weights.json").write_bytes((folder / "weights.json").read_bytes())
    run = api.import_model("hf:owner/tiny@main", tmp_path / "run")
    assert run.summary == "toy-alignment of left (vectors), right (vectors)"


def test_a_repository_that_is_not_in_the_cache_needs_the_network(folder, hub, zoo, tmp_path):
    told = zoo("import", "hf:owner/other@main", "--out", tmp_path / "run")
    assert told.exit_code == OfflineError.exit_code
    assert "hf:owner/other@main is not in the cache of the hub's client" in told.error
    assert "ZOO_OFFLINE or HF_HUB_OFFLINE forbids the network; run the command again with a network" in told.error


def test_an_address_of_the_hub_without_a_revision_is_refused(folder, zoo, tmp_path):
    told = zoo("import", "hf:owner/tiny", "--out", tmp_path / "run")
    assert told.exit_code == 2
    assert "expected hf:OWNER/REPOSITORY@REVISION, where the revision is a commit, a tag or a branch" in told.error
