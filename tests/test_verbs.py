"""What the commands do, from Python: names, paths and objects alike, progress, and values that say what they are."""

import json
import os
import re
import sys
import types
from pathlib import Path

import pytest
import tomlkit

from zoo import (
    Bundle,
    Checkpoint,
    IntegrityError,
    MetricError,
    NotFoundError,
    Origin,
    PluginError,
    UnknownNameError,
    UsageError,
    Wanted,
    data,
    doctor,
    embed,
    entries,
    evaluate,
    export,
    fetch,
    info,
    judge,
    load,
    new_plugin,
    open_bundle,
    options,
    plugins as installed_plugins,
    search,
    train,
    write_outputs,
)
from zoo.discovery.plugins import installed
from zoo.files.store import digest
from zoo.verbs.progress import progress_bar
from zoo.verbs.sources import target_of


@pytest.fixture
def entry(tmp_path, trained, table, site, monkeypatch):
    """An entry ``toy`` of a registry; its weights were trained. The working folder is empty."""
    found = digest(trained)
    kept = {"size": found.size_bytes, "sha256": found.sha256, "sources": [trained.as_uri()]}
    registry = tmp_path / "registry.toml"
    registry.write_text(tomlkit.dumps({"schema": 1, "entries": {"toy": {**table, **kept}}}))
    monkeypatch.setenv("ZOO_REGISTRY", str(registry))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return entries()["toy"]


def test_a_folder_without_a_checkpoint_does_not_hide_an_entry_of_its_name(entry, trained):
    Path("toy").mkdir()
    assert target_of("toy", installed()).weights == trained
    Path("photos").mkdir()
    with pytest.raises(UsageError, match="photos holds no checkpoint"):
        target_of("photos", installed())


def test_an_entry_whose_plugin_is_not_installed_names_what_to_install(entry, table, monkeypatch, tmp_path, zoo):
    source = "package:zoo_absent/toy.safetensors"
    absent = {**table, "plugins": ["modalzoo-absent", "modalzoo-toy"], "sources": [source]}
    (tmp_path / "registry.toml").write_text(tomlkit.dumps({"schema": 1, "entries": {"toy": absent}}))
    needed = "toy needs modalzoo-absent; install it: pip install modalzoo-absent"
    fetched = zoo("fetch", "toy")
    assert fetched.exit_code == 3
    assert fetched.error.endswith(f"install the package that the entry names. {needed}")
    assert zoo("evaluate", "toy").error == needed
    with pytest.raises(PluginError, match=needed):
        target_of(entries()["toy"], installed())


class Told(list):
    """Takes note of how far a task was told to be."""

    def __call__(self, done, total, text):
        self.append((done, total, text))


def test_entries_are_shown_as_the_table_of_the_listing(entry, zoo):
    assert repr(entries()) == zoo("list").stdout.rstrip("\n")
    assert list(entries(objective="toy-autoencoder", max_size="20MB")) == ["toy"]
    assert "toy" not in entries(max_size=10)


def test_an_entry_that_is_not_there_is_told_with_the_nearest_one(entry):
    for ask in (lambda name: entries()[name], fetch, load, train, evaluate, lambda name: export(name, "bundle")):
        with pytest.raises(UnknownNameError, match=r"^no entry 'tyo'; .* Did you mean 'toy'\?"):
            ask("tyo")
    assert entries().get("tyo") is None
    assert os.listdir() == []


@pytest.mark.parametrize(
    ("filters", "message"),
    [
        ({"modality": "vector"}, r"^no modality 'vector'; available: .*vectors.* Did you mean 'vectors'\? `zoo list`"),
        ({"objective": "toy-autoencodr"}, r"^no objective 'toy-autoencodr'; .* Did you mean 'toy-autoencoder'\?"),
        ({"license": "GPL-3.0"}, r"^no license 'GPL-3.0'; available: .*MIT.* `zoo list` without filters lists all"),
    ],
)
def test_a_filter_that_nothing_could_pass_is_refused_with_the_known_names(filters, message, entry, zoo):
    with pytest.raises(UnknownNameError, match=message):
        entries(**filters)
    ((name, value),) = filters.items()
    assert zoo("list", f"--{name}", value).exit_code == 3
    assert list(entries(modality="Vectors", objective="Toy-Autoencoder", license="mit")) == ["toy"]


def test_a_modality_of_a_plugin_that_no_entry_has_lists_nothing(entry):
    assert not entries(objective="toy-alignment")


def test_an_entry_says_what_it_is(entry):
    assert repr(entry).startswith("<entry toy: 'a toy'; toy-autoencoder of right (vectors), left (vectors); ")
    assert repr(entry.recipe) == ("<recipe: toy-autoencoder of right (vectors), left (vectors); data toy; 12 steps>")


def test_weights_that_were_fetched_go_wherever_a_path_does(entry, trained):
    fetched = fetch("toy")
    assert fetched.path == Path(os.fspath(fetched)) == trained
    assert fetch(entry) == fetched
    assert (
        repr(fetched)
        == f"toy: {len(trained.read_bytes()) / 1e3:.1f} kB, sha256 {entry.sha256[:12]}… as recorded\n  {trained}"
    )
    assert evaluate(fetched).entry == entry


def test_a_wanted_file_is_fetched_by_the_same_verb(tmp_path):
    (tmp_path / "a.bin").write_bytes(b"abc")
    found = digest(tmp_path / "a.bin")
    wanted = Wanted("a.bin", 3, found.sha256, ("a.bin",))
    assert fetch(wanted, base=tmp_path).path == tmp_path / "a.bin"
    (tmp_path / "a.bin").write_bytes(b"abd")
    with pytest.raises(IntegrityError, match=r"a.bin: expected 3 bytes"):
        fetch(wanted, base=tmp_path)


@pytest.mark.parametrize("kind", [str, Path])
def test_a_recipe_in_the_place_of_a_model_is_told_from_one(kind, entry):
    for ask in (load, evaluate, lambda source: export(source, "bundle")):
        with pytest.raises(UsageError) as caught:
            ask(kind("mine.toml"))
        assert str(caught.value) == (
            "mine.toml is a recipe; expected a model: the name of an entry, a checkpoint, or the folder of a run. "
            "Train it first by `zoo train mine.toml`"
        )


@pytest.fixture
def run(entry):
    """A run of the entry's recipe in the folder that it has by default, with all that was given."""
    told, steps = Told(), []
    found = train("toy", options={"training.steps": 3}, progress=told, observe=steps.append)
    return found, told, steps


def test_a_training_tells_what_came_of_it(run):
    found, told, steps = run
    assert found.folder == Path("runs/toy")
    assert (found.steps, found.weights) == (3, Path("runs/toy/checkpoint-00000003/model.safetensors"))
    assert found.terms == dict(steps[-1].terms)
    assert found.report == Path("runs/toy/report.html")
    assert found.report.is_file()
    terms = ", ".join(f"{name} {value:.4g}" for name, value in found.terms.items())
    assert repr(found).splitlines() == [
        f"run runs/toy: 3 steps, {terms}",
        "  weights  runs/toy/checkpoint-00000003/model.safetensors",
        "  report   runs/toy/report.html",
    ]
    assert [(done, total) for done, total, text in told if text.startswith("loss")] == [(1, 3), (3, 3)]
    assert told[0][2] == "values read"


def test_a_run_goes_wherever_its_folder_does(run):
    found, _, _ = run
    measured = evaluate(found, progress=Told())
    assert measured == evaluate("runs/toy") == evaluate(Path("runs/toy")) == evaluate(load(found))
    assert measured.name == "toy"
    assert load(found).sha256 == load(found.weights).sha256


@pytest.mark.parametrize("kind", ["file", "path", "recipe", "entry"])
def test_a_recipe_is_trained_by_its_path_or_as_an_object(kind, entry):
    Path("mine.toml").write_text(entry.recipe.toml())
    given = {"file": "mine.toml", "path": Path("mine.toml"), "recipe": entry.recipe, "entry": entry}[kind]
    found = train(given, Path("out"), options=["training.steps=1"])
    assert found.weights == Path("out/checkpoint-00000001/model.safetensors")
    assert train(given, "out", options={"training.steps": 2}, resume=True, accept_changes=True).steps == 2


def test_what_training_cannot_take_is_told(entry):
    with pytest.raises(UsageError, match="a Recipe has no name for a folder; give the run's folder"):
        train(entry.recipe)
    with pytest.raises(
        UsageError, match=r"`source` takes a text, a path, zoo.RegistryEntry or zoo.Recipe, got <checkpoint"
    ):
        train(load("toy"), "out")
    with pytest.raises(UsageError, match="`options` takes values by name or a list of texts, got 't"):
        train("toy", "out", options="training.steps=1")
    with pytest.raises(UsageError, match="`accept_changes` is for `resume`"):
        train("toy", "out", accept_changes=True)
    assert os.listdir() == []


def test_what_is_no_model_is_told(entry):
    with pytest.raises(
        UsageError, match=r"`source` takes a text, a path, zoo.RegistryEntry, zoo.Target or zoo.Checkpoint, got <rec"
    ):
        evaluate(entry.recipe)
    with pytest.raises(NotFoundError, match=r"no checkpoint absent.safetensors"):
        load("absent.safetensors")
    with pytest.raises(NotFoundError, match=r"no checkpoint toy; expected a \.safetensors file"):
        load(Path("toy"))


def test_metrics_are_shown_as_the_tables_of_the_command(entry, zoo):
    measured = evaluate("toy")
    assert repr(measured) == zoo("evaluate", "toy").stdout.rstrip("\n")
    assert dict(measured) == json.loads(zoo("evaluate", "toy", "--json").stdout)
    assert evaluate("toy", split="validation") != measured


def test_metrics_are_compared_with_the_recorded_ones(entry):
    with pytest.raises(
        MetricError, match=r"toy: the metric 'recall@10' is recorded as 0.5 ± 0.01, measured now nothing"
    ):
        evaluate("toy").verify()
    with pytest.raises(UsageError, match="`verify` compares an entry's recorded metrics on its own split"):
        evaluate("toy", split="validation").verify()


def test_a_bundle_is_exported_by_a_name_a_path_or_a_checkpoint(entry, trained, zoo):
    told, verdicts = Told(), []
    bundle = export("toy", "bundle", to="toy", graphs=["decode_left"], progress=told, observe=verdicts.append)
    assert isinstance(bundle, Bundle)
    assert bundle.manifest == open_bundle("bundle").manifest
    assert (bundle.manifest.origin.license, bundle.graphs) == ("MIT", ("decode_left",))
    assert told[-1] == (1, 1, "decode_left")
    assert [verdict.graph for verdict in verdicts] == ["decode_left"]
    assert repr(bundle) == "<bundle 'bundle': 'toy', graphs: decode_left; fp32 on cpu>"
    by_command = json.loads(
        zoo("export", "toy", "--to", "toy", "--graph", "decode_left", "--out", "other", "--json").stdout
    )
    assert by_command == bundle.manifest.written()
    assert export(fetch("toy"), "third", to="toy", graphs=["decode_left"]).manifest == bundle.manifest
    mine = export(load(trained), "mine", to="toy", graphs=["decode_left"])
    assert mine.manifest.origin == Origin("mine")
    own = export(load(trained), "mine", to="toy", graphs=["decode_left"], origin=Origin("own", "MIT"))
    assert own.manifest.origin == Origin("own", "MIT")


def test_the_card_of_an_entry_is_that_of_the_command(entry, zoo):
    card = info("toy")
    assert repr(card) == repr(info(entry)) == zoo("info", "toy").stdout.rstrip("\n")
    assert card.written() == zoo("info", "toy", "--json").json
    assert (card.entry, list(card.missing)) == (entry, [])


def test_a_bundle_is_judged_again_by_its_folder_or_as_it_was_opened(site, bundle, zoo):
    told = Told()
    found = judge(bundle, progress=told)
    assert repr(found) == zoo("parity", bundle).stdout.rstrip("\n")
    assert list(found) == list(judge(open_bundle(bundle)))
    assert told[-1] == (len(found), len(found), list(found)[-1])
    one = found["decode_left"]
    assert one.cases == one.exported.cases
    assert one.worst.used <= 1


def test_rows_are_embedded_and_the_nearest_of_them_found(site, bundle, tmp_path, zoo):
    rows = [[[1, 2, 3]], [[0, 0, 9]], [[4, 0, 0]]]
    (tmp_path / "rows.jsonl").write_text("".join(f"{json.dumps({'left': row})}\n" for row in rows))
    told = Told()
    made = embed(bundle, "encode_left", tmp_path / "rows.jsonl", tmp_path / "vectors", progress=told)
    assert (made.rows, made.count, made.skipped) == (3, 3, 0)
    assert repr(made) == f"<3 vectors in '{tmp_path / 'vectors'}'>"
    assert told[-1] == (3, 3, "rows")
    found = search(open_bundle(bundle), made, rows[1], k=2, graph="encode_left")
    assert (found[0].row, found[0].known["number"], found.truncated) == (1, 2, False)
    assert found[0].score == pytest.approx(1)
    with pytest.raises(UsageError, match="`by` takes 'cosine' or 'dot', got 'l2'"):
        search(bundle, made, rows[1], by="l2", graph="encode_left")
    assert repr(search(str(bundle), tmp_path / "vectors", rows[1], k=2, graph="encode_left")) == repr(found)
    assert re.fullmatch(r"SCORE   ROW  VALUE\n1\.0000    1.*\n0\.\d{4}    [02].*", repr(found))


def test_a_data_set_is_told_of_by_its_name_or_that_of_a_recipe(entry, zoo):
    by_command = zoo("data", "toy").stdout.rstrip("\n").splitlines()
    card = data("toy")
    assert repr(card).splitlines() == [*by_command[:-1], f"licence: {card.license}", "data/toy.png"]
    assert card.written() == zoo("data", "toy", "--json").json
    assert card.picture.read_bytes().startswith(b"\x89PNG")
    own = data(entry.recipe, options={"broken_at": -1}, split="test", rows=2, out="own.png")
    assert (own.picture, own.samples) == (Path("own.png"), card.samples)
    assert data("toy", options={"broken_at": -1}).samples == card.samples


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: entries(sort="date"), "entries are sorted by name, size, parameters, objective, license; got 'date'"),
        (lambda: data("toy", split="tset"), "data sets have the splits train, validation, test; got 'tset'"),
        (lambda: data("toy", rows=0), "the picture has at least 1 row, got 0"),
        (lambda: new_plugin("encodr", "ripples"), "the kinds modality, encoder, decoder, .*; got 'encodr'"),
    ],
)
def test_what_the_command_offers_as_a_choice_is_refused_from_python_too(ask, message, entry):
    with pytest.raises(UsageError, match=message):
        ask()
    assert not list(Path().iterdir())


def test_answers_are_written_as_files(site, bundle, tmp_path):
    opened = open_bundle(bundle)
    outputs = opened.run("decode_left", {"latent": [[0.0, 0.0], [1.0, 1.0]]})
    written = write_outputs(opened, "decode_left", outputs, tmp_path / "out")
    assert set(written.files) == {path.name for path in (tmp_path / "out").iterdir()} - {"manifest.json"}
    assert len(written.values) == 2
    assert repr(written) == f"{tmp_path / 'out'}: {', '.join(written.files)}"


def test_plugins_and_their_options_are_told(site, zoo):
    found = installed_plugins()
    assert "modalzoo-toy 1.0: " in repr(found)
    assert "out: " not in repr(found)
    assert repr(options("linear")) == zoo("plugins", "linear").stdout.rstrip("\n")
    assert options("linear").written() == zoo("plugins", "linear", "--json").json
    with pytest.raises(UnknownNameError, match=r"no component or distribution 'lienar'; .* Did you mean 'linear'\?"):
        options("lienar")


def test_what_is_installed_is_told_with_what_must_be_mended(site, zoo, monkeypatch, tmp_path):
    found = doctor()
    assert found.troubles == ()
    assert repr(found) == zoo("doctor").stdout.rstrip("\n")
    (tmp_path / "broken.toml").write_text("schema = 1\nentires = 2\n")
    monkeypatch.setenv("ZOO_REGISTRY", str(tmp_path / "broken.toml"))
    broken = doctor()
    (trouble,) = broken.troubles
    assert "unknown key 'entires'" in trouble
    assert repr(broken).endswith(trouble)


def test_a_plugin_to_start_from_is_written_into_a_folder_of_its_own(site, tmp_path):
    path = new_plugin("modality", "counts", tmp_path)
    assert (path.parent, (path / "pyproject.toml").is_file()) == (tmp_path, True)


def test_a_checkpoint_says_what_it_is(entry):
    loaded = load("toy")
    assert isinstance(loaded, Checkpoint)
    assert repr(loaded) == (
        f"<checkpoint: {entry.recipe.summary}; {loaded.model.parameter_count} parameters, sha256 {loaded.sha256[:12]}…>"
    )


def test_nothing_is_shown_without_a_terminal_and_a_notebook(entry, capsys):
    evaluate("toy")
    train("toy", options={"training.steps": 1})
    assert capsys.readouterr() == ("", "")


class Place:
    """The place where a notebook shows something, and all that it has shown."""

    def __init__(self):
        self.shown = []

    def update(self, data, raw):
        assert raw
        self.shown.append(data["text/plain"])


@pytest.fixture
def notebook(monkeypatch):
    """Run in what looks as a kernel of Jupyter; return the places where something is shown."""
    places = []

    class ZMQInteractiveShell:
        """The shell of a kernel."""

    def display(data, *, raw, display_id):
        places.append(Place())
        places[-1].update(data, raw)
        return places[-1]

    shown = types.ModuleType("IPython.display")
    shown.display = display
    kernel = types.ModuleType("IPython")
    kernel.get_ipython, kernel.display = ZMQInteractiveShell, shown
    monkeypatch.setitem(sys.modules, "IPython", kernel)
    monkeypatch.setitem(sys.modules, "IPython.display", shown)
    return places


def test_a_notebook_shows_a_bar_in_one_place_below_its_cell(notebook, capsys):
    with progress_bar("hatching") as advance:
        for step in range(1, 5):
            advance(step, 4, "loss [1]")
    (place,) = notebook
    assert place.shown[0].startswith("hatching")
    assert "4/4" in place.shown[-1]
    assert place.shown[-1].endswith("loss [1]")
    assert "\n" not in place.shown[-1]
    assert capsys.readouterr() == ("", "")


def test_a_verb_shows_its_bar_unless_it_is_told_whom_to_tell(entry, notebook):
    evaluate("toy")
    (place,) = notebook
    assert place.shown[-1].startswith("evaluating")
    assert place.shown[-1].endswith("values read")
    evaluate("toy", progress=Told())
    assert len(notebook) == 1


def test_a_task_within_another_shows_no_bar_of_its_own(notebook):
    with progress_bar("outer"), progress_bar("inner") as advance:
        advance(1, 2, "")
    with progress_bar("next"):
        pass
    assert [place.shown[0].split()[0] for place in notebook] == ["outer", "next"]
