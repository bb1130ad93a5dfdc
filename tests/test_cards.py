"""An entry's card: its picture is drawn when it is recorded, shown by `zoo info`, and is on the page of models."""

import io
import tomllib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tomlkit
from click.testing import CliRunner
from PIL import Image

from zoo.catalogue import record as recording
from zoo.catalogue.facts import measured
from zoo.catalogue.gallery import catalogue
from zoo.catalogue.registry import own_registry, read_registry
from zoo.errors import DataError, SpecError, UsageError
from zoo.files.store import digest
from zoo.models.checkpoint import load
from zoo.reporting.card_pictures import LARGEST_BYTES, WIDTH, card_png, stacked
from zoo.reporting.pictures import Picture
from zoo.training.train import train

ROOT = Path(__file__).parent.parent


@pytest.fixture
def recorded(tmp_path, trained, plugins, monkeypatch):
    """The folder of a registry with one entry, recorded from the trained checkpoint."""
    monkeypatch.setattr(recording, "installed", lambda: plugins)
    said = [
        "--summary",
        "A toy",
        "--license",
        "MIT",
        "--data-license",
        "CC0-1.0",
        "--source",
        "weights/toy.safetensors",
    ]
    arguments = [str(tmp_path / "registry.toml"), "toy", str(trained), *said]
    result = CliRunner().invoke(recording.command, arguments, catch_exceptions=False)
    assert (result.exit_code, result.output) == (0, "")
    return tmp_path


@pytest.fixture
def entry(recorded):
    return read_registry(recorded / "registry.toml")["toy"]


def test_recording_draws_a_picture_beside_the_weights(recorded, entry, trained):
    assert (recorded / "weights/toy.safetensors").read_bytes() == trained.read_bytes()
    assert entry.picture == "weights/toy.png"
    assert entry.installed_picture() == recorded / "weights/toy.png"
    with Image.open(recorded / "weights/toy.png") as picture:
        assert picture.width == WIDTH
        assert len(np.unique(np.asarray(picture.convert("L")))) > 5


def test_recording_again_keeps_the_picture(recorded, plugins, trained):
    arguments = [str(recorded / "registry.toml"), "toy", str(trained), "--summary", "Newer"]
    CliRunner().invoke(recording.command, arguments, catch_exceptions=False)
    entry = read_registry(recorded / "registry.toml")["toy"]
    assert (entry.summary, entry.picture) == ("Newer", "weights/toy.png")


def test_a_run_is_recorded_by_its_newest_checkpoint(recorded, trained):
    arguments = [str(recorded / "registry.toml"), "toy", str(trained.parent.parent)]
    CliRunner().invoke(recording.command, arguments, catch_exceptions=False)
    entry = read_registry(recorded / "registry.toml")["toy"]
    assert (recorded / "weights/toy.safetensors").read_bytes() == trained.read_bytes()
    assert (entry.summary, entry.sha256) == ("A toy", digest(trained).sha256)


def test_recording_tells_what_is_wrong_without_a_traceback(recorded, trained):
    (recorded / "empty").mkdir()
    for run, name, code, message in (
        (
            recorded / "empty",
            "toy",
            2,
            "empty holds no checkpoint; name a .safetensors file or a folder that `zoo train`",
        ),
        (trained, "gull", 2, "gull is new in "),
    ):
        done = CliRunner().invoke(recording.command, [str(recorded / "registry.toml"), name, str(run)])
        assert (done.exit_code, done.stdout) == (code, "")
        assert message in done.stderr


def test_entries_stand_apart_in_the_file(recorded, trained):
    for name in ("gull", "toy"):
        said = ["--summary=A toy", "--license=MIT", "--data-license=CC0-1.0", f"--source={name}.safetensors"]
        arguments = [str(recorded / "registry.toml"), name, str(trained), *said]
        CliRunner().invoke(recording.command, arguments, catch_exceptions=False)
    text = (recorded / "registry.toml").read_text()
    assert "\n\n[entries.gull]\n" in text
    assert text.endswith("}\n")
    assert "\n\n\n" not in text


def test_entries_that_are_recorded_at_once_are_all_there(recorded):
    said = {"summary": "A toy", "license": "MIT", "data_license": "CC0-1.0", "sources": ["toy.safetensors"]}
    names = [f"toy-{number}" for number in range(8)]
    with ThreadPoolExecutor(len(names)) as pool:
        list(pool.map(lambda name: recording.record(recorded / "registry.toml", name, said, {"metrics": {}}), names))
    entries = tomllib.loads((recorded / "registry.toml").read_text())["entries"]
    assert set(entries) == {"toy", *names}


def test_the_same_checkpoint_gives_the_same_picture(checkpoint, plugins):
    first = card_png(checkpoint, plugins)
    assert card_png(checkpoint, plugins) == first
    assert len(first) <= LARGEST_BYTES


def test_a_model_without_anything_to_draw_has_no_picture(checkpoint, plugins, monkeypatch):
    monkeypatch.setattr(type(checkpoint.model.objective), "graphs", lambda objective: [])
    with pytest.raises(DataError, match="the objective 'toy-autoencoder' has no graphs that reconstruct, draw from a"):
        card_png(checkpoint, plugins)


def test_a_shared_space_has_a_card_of_answers(make_recipe, plugins, tmp_path):
    checkpoint = load(train(make_recipe("toy-alignment"), tmp_path, plugins=plugins), plugins=plugins)
    assert Image.open(io.BytesIO(card_png(checkpoint, plugins))).width == WIDTH


def test_a_picture_that_cannot_be_small_is_refused(checkpoint, plugins, monkeypatch):
    monkeypatch.setattr("zoo.reporting.card_pictures.LARGEST_BYTES", 100)
    with pytest.raises(DataError, match=r"the card's picture takes \d+ bytes, more than 100; draw simpler values"):
        card_png(checkpoint, plugins)


def test_pictures_are_stacked_while_they_fit():
    tall = Picture("a title", Image.new("RGB", (300, 700), "red"))
    wide = Picture("another " * 30, Image.new("RGB", (2 * WIDTH, 100), "blue"))
    both, one = np.asarray(stacked([tall, wide])), np.asarray(stacked([tall, tall]))
    assert (both.shape[1], one.shape[1]) == (WIDTH, WIDTH)
    assert (both == (0, 0, 255)).all(axis=-1).any()
    assert (one == (255, 0, 0)).all(axis=-1).sum() == 300 * 700


@pytest.mark.parametrize("picture", ["https://birds.example/toy.png", "hf:a/b@c/toy.png", "toy.jpg", "package:toy"])
def test_a_picture_is_a_png_of_this_machine(table, tmp_path, picture):
    path = tmp_path / "registry.toml"
    path.write_text(tomlkit.dumps({"schema": 1, "entries": {"toy": {**table, "picture": picture}}}))
    with pytest.raises(SpecError, match=f"'picture' takes a PNG file as package:NAME/PATH or .*, got '{picture}'"):
        read_registry(path)


@pytest.mark.parametrize("picture", ["", "absent.png", "../out.png", "package:zoo_absent/toy.png"])
def test_a_picture_that_is_not_there_is_none(entry, picture):
    assert replace(entry, picture=picture).installed_picture() is None


def test_the_command_shows_the_card_with_its_picture(zoo, recorded, entry, monkeypatch):
    monkeypatch.setenv("ZOO_REGISTRY", str(recorded / "registry.toml"))
    lines = zoo("info", "toy").stdout.splitlines()
    assert lines[0] == "toy: A toy"
    assert f"  picture      {recorded / 'weights/toy.png'}" in lines
    assert "               encoder linear (features = 5)" in lines
    assert "  sources      weights/toy.safetensors" in lines
    assert any(line.startswith("    zoo run bundles/toy encode_right -i right=VALUE ") for line in lines)
    assert zoo("info", "toy", "--json").json["picture"] == str(recorded / "weights/toy.png")


def test_what_was_measured_of_inputs_is_one_table_and_the_rest_is_told_one_by_one(table, tmp_path):
    path = tmp_path / "registry.toml"
    names = {"left.recall@10": 0.5, "left.chance@10": 0.25, "right.recall@10": 0.75, "right.chance@10": 0.25, "size": 3}
    metrics = {name: {"value": value, "tolerance": 0.01} for name, value in names.items()}
    path.write_text(tomlkit.dumps({"schema": 1, "entries": {"toy": {**table, "metrics": metrics}}}))
    assert measured(read_registry(path)["toy"]) == [
        [("inputs", "recall@10"), ("left", "0.5"), ("right", "0.75"), ("by chance", "0.25")],
        [("metric", "value", "within"), ("size", "3", "± 0.01")],
    ]


def test_the_page_of_models_has_a_section_an_entry(entry, recorded):
    page = catalogue([replace(entry, name="zebra"), entry], recorded / "docs")
    assert [line for line in page.splitlines() if line.startswith("## ")] == ["## toy", "## zebra"]
    assert "![What toy does with held-out samples](../weights/toy.png)" in page
    assert "Measured by `zoo evaluate toy`:" in page


def test_the_page_of_models_is_that_of_the_registry():
    entries = list(read_registry(own_registry()).values())
    message = "write it again: python -m zoo.catalogue.gallery registry.toml docs/models.md"
    assert (ROOT / "docs/models.md").read_text() == catalogue(entries, ROOT / "docs"), message


@pytest.mark.parametrize("entry", read_registry(own_registry()).values(), ids=lambda entry: entry.name)
def test_every_entry_of_the_zoo_has_a_small_picture(entry):
    picture = entry.installed_picture()
    assert picture is not None
    assert picture.stat().st_size <= LARGEST_BYTES
    with Image.open(picture) as drawn:
        assert drawn.width == WIDTH


def test_a_file_that_is_no_registry_is_not_added_to(tmp_path):
    path = tmp_path / "pyproject.toml"
    path.write_text("[project]\nname = 'mine'\n")
    with pytest.raises(UsageError, match=r"pyproject.toml is not a registry: it has 'project'; name another file"):
        recording.record(path, "toy", {}, {"metrics": {}})
    assert path.read_text() == "[project]\nname = 'mine'\n"
