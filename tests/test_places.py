"""Whatever lies where a command writes: its own is replaced, nothing else is touched."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

from zoo.discovery.components import make_exporter
from zoo.errors import UsageError
from zoo.exporting.bundle import export, renew
from zoo.files.replacing import BUNDLE, CHECKPOINT, RUN, fillable, replaceable
from zoo.files.store import remove_folder, staged_file, staged_folder
from zoo.quickstart.line import ShortTraining
from zoo.runtime.bundle import open_bundle
from zoo.runtime.records import Origin
from zoo.training.runs import Run

REPLACING = ("export", "layout", "run")
ADDING = ("train", "embed", "quickstart")
FILES = ("data", "embed-file")
COMMANDS = (*REPLACING, *ADDING, *FILES, "plugin")
MARKS = {"train": "log.jsonl", "plugin": "pyproject.toml"}


@pytest.fixture
def quick(monkeypatch):
    """Have the quickstart write small files in a moment."""

    def train_shortly(folder, plugins, advance):
        folder.mkdir()
        (folder / "log.jsonl").write_text('{"step": 1, "loss": 0.5}\n')
        return ShortTraining([(1, 0.5), (2, 0.4)], [(1, {"en": 0.1}), (2, {"en": 0.2})], 0.04)

    def serve_without_torch(folder):
        (folder / "pictures").mkdir(exist_ok=True)
        (folder / "pictures/one.png").write_bytes(b"")
        return {"answers": [], "torch_imported": False, "reconstructions": "one.png", "latent_map": "one.png"}

    monkeypatch.setattr("zoo.quickstart.line.train_shortly", train_shortly)
    monkeypatch.setattr("zoo.quickstart.line.export_entries", lambda *arguments: {})
    monkeypatch.setattr("zoo.quickstart.line.serve_without_torch", serve_without_torch)


@pytest.fixture
def call(zoo, site, trained, exported, recipe_file, quick, tmp_path_factory):
    """Run a command that writes to a place; ``exported`` and ``trained`` are what it reads."""
    notes = "class Notes:\n    def write(self, folder, dataset): (folder / 'page.html').touch()\n"
    hook = "from zoo import hookimpl\nZOO_API = 1\n@hookimpl\ndef zoo_layouts(): return {'n': 'zoo_notes.layout:Notes'}"
    site.add("notes", hook, files={"layout.py": notes})
    inputs = tmp_path_factory.mktemp("inputs")
    np.save(inputs / "latent.npy", np.zeros((1, 2), np.float32))
    (inputs / "rows.jsonl").write_text('{"left": [[1, 2, 3]]}\n')
    exporting = ("export", trained, "--to", "toy", "--graph", "decode_left")
    recipe = shutil.move(recipe_file(steps=1), inputs / "toy.toml")
    embedding = ("embed", exported, "encode_left", "--input", inputs / "rows.jsonl")
    arguments = {
        "export": exporting,
        "layout": (*exporting, "--layout", "n"),
        "run": ("run", exported, "decode_left", "-i", f"latent={inputs / 'latent.npy'}"),
        "train": ("train", recipe, "--resume"),
        "embed": embedding,
        "embed-file": embedding,
        "quickstart": ("quickstart",),
        "data": ("data", "toy"),
        "plugin": ("plugin", "new", "dataset", "places"),
    }
    return lambda command, out: zoo(*arguments[command], "--out", out)


def place_of(command, folder):
    """Return the place that a command writes to if its output is called ``out`` in a folder."""
    return folder / {"data": "out.png", "embed-file": "out.npy", "plugin": "modalzoo-places"}.get(command, "out")


def told(command, place):
    return place.parent if command == "plugin" else place


def tree(folder):
    """Return all that is in a folder: where links lead, and the bytes of files."""
    return {
        path: os.readlink(path) if path.is_symlink() else path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def lay(what, place, exported, trained):
    """Put something of other origin at a place, and return what a message calls it."""
    if what.startswith("link to "):
        place.symlink_to(place.parent / "target")
        lay(what.removeprefix("link to "), place.parent / "target", exported, trained)
    elif what == "file":
        place.write_text("mine")
    elif what == "foreign folder":
        place.mkdir()
        for name in ("cat.jpg", "notes.txt", "recipe.toml"):
            (place / name).write_text("mine")
    elif what == "foreign manifest":
        place.mkdir()
        (place / "manifest.json").write_text('{"schema": 1, "files": {"cat.jpg": {}}, "version": 3}')
    elif what == "bundle":
        shutil.copytree(exported, place)
    else:
        shutil.copytree(trained.parent.parent, place)


SAID = {
    "file": "is a file",
    "foreign folder": "holds 'cat.jpg', 'notes.txt', 'recipe.toml'",
    "foreign manifest": "holds 'manifest.json'",
    "bundle": "is a bundle that `zoo export` wrote",
    "run": "is a run that `zoo train` wrote",
}
OWN = {("export", "bundle"), ("layout", "bundle"), ("train", "run")}


@pytest.mark.parametrize("linked", ["", "link to "])
@pytest.mark.parametrize(
    ("command", "what"), [(command, what) for command in COMMANDS for what in SAID if (command, what) not in OWN]
)
def test_what_a_command_did_not_write_is_left_as_it_is(command, what, linked, call, exported, trained, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    place = place_of(command, folder)
    lay(f"{linked}{what}", place, exported, trained)
    before = tree(folder)
    result = call(command, told(command, place))
    assert result.exit_code == 2
    said = "is a folder, expected the name of a file" if command in FILES and what != "file" else SAID[what]
    assert f"{place} {said}" in result.error
    assert "choose another" in result.error
    assert tree(folder) == before


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "plugin"])
def test_a_command_writes_anew_what_it_wrote_itself_and_through_links(command, call, tmp_path):
    folder = tmp_path / "work"
    folder.mkdir()
    target, link = place_of(command, folder), folder / f"link{place_of(command, folder).suffix}"
    if command not in FILES:
        target.mkdir()  # an empty folder is as good as nothing
    link.symlink_to(target)
    for place in (link, target, link):
        result = call(command, place)
        assert result.exit_code == 0, result.stderr
        assert link.is_symlink()
        assert not target.is_symlink()
        assert target.is_file() if command in FILES else (target / MARKS.get(command, "manifest.json")).is_file()
    assert not [path for path in folder.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize("command", [command for command in COMMANDS if command != "plugin"])
@pytest.mark.parametrize("out", [".", "..", "/", "../.."])
def test_the_folder_of_a_process_and_those_above_it_stay(command, out, call, tmp_path, monkeypatch):
    here = tmp_path / "work" / "here"
    here.mkdir(parents=True)
    (here / "cat.jpg").write_text("mine")
    monkeypatch.chdir(here)
    before = tree(tmp_path / "work")
    result = call(command, out)
    assert result.exit_code == 2
    assert result.error.startswith(("--out takes the name of a PNG", f"{out} ")), result.error
    assert ("a folder inside it" if command in REPLACING else "choose another") in result.error or command == "data"
    assert tree(tmp_path / "work") == before


def test_an_empty_folder_that_a_process_runs_in_is_not_replaced(call, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    message = "the folder that this command runs in, or one above it, and cannot be replaced; name a folder inside it"
    assert message in call("export", ".").error
    assert call("embed", ".").exit_code == 0
    assert (tmp_path / "here/vectors-00000.npy").exists()


def test_a_mount_point_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.setattr("os.path.ismount", lambda path: str(path) == str(tmp_path / "volume"))
    with pytest.raises(UsageError, match=r"volume is a mount point and cannot be replaced; name a folder inside it by"):
        replaceable(tmp_path / "volume", BUNDLE)
    assert fillable(tmp_path / "volume", RUN) == tmp_path / "volume"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_link_that_leads_to_itself_is_refused(command, call, tmp_path):
    place = place_of(command, tmp_path)
    place.symlink_to(place)
    result = call(command, told(command, place))
    assert result.exit_code == 2
    assert f"{place} is a symbolic link that leads to itself; remove it, or choose another --out" in result.error
    assert place.is_symlink()


@pytest.mark.parametrize("command", REPLACING)
@pytest.mark.parametrize("stranger", ["notes.txt", "photos"])
def test_what_stands_among_the_files_of_a_command_is_not_lost(command, stranger, call, tmp_path):
    out = tmp_path / "out"
    assert call(command, out).exit_code == 0
    (out / stranger).mkdir() if stranger == "photos" else (out / stranger).write_text("mine")
    before = tree(out)
    result = call(command, out)
    assert result.exit_code == 2
    assert f"that also holds '{stranger}', which would be lost; move that elsewhere, or choose another" in result.error
    assert tree(out) == before


@pytest.mark.parametrize("command", ADDING)
def test_what_stands_beside_the_files_of_a_command_that_adds_stays(command, call, tmp_path):
    out = tmp_path / "out"
    assert call(command, out).exit_code == 0
    (out / "notes.txt").write_text("mine")
    assert call(command, out).exit_code == 0
    assert (out / "notes.txt").read_text() == "mine"


def test_a_stranger_that_comes_while_a_bundle_is_written_stays(exported, tmp_path):
    out = shutil.copytree(exported, tmp_path / "out")
    writing = staged_folder(out, replaces=BUNDLE)
    (writing.__enter__() / "new").touch()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"also holds 'notes.txt'"):
        writing.__exit__(None, None, None)
    assert (out / "notes.txt").read_text() == "mine"
    assert open_bundle(out).graphs


def test_the_functions_are_as_careful_as_the_commands(checkpoint, plugins, tmp_path):
    (tmp_path / "album").mkdir()
    (tmp_path / "album/cat.jpg").write_text("mine")
    with pytest.raises(UsageError, match=r"album holds 'cat.jpg'; `zoo export` replaces only a bundle that it wrote"):
        export(checkpoint, make_exporter("toy", plugins), tmp_path / "album", origin=Origin("toy"))
    with pytest.raises(UsageError, match=r"album holds 'cat.jpg'; choose another place, or remove it"):
        staged_folder(tmp_path / "album").__enter__()
    with pytest.raises(UsageError, match=r"album is a folder, expected the name of a file; choose another"):
        staged_file(tmp_path / "album").__enter__()
    assert tree(tmp_path) == {tmp_path / "album": None, tmp_path / "album/cat.jpg": b"mine"}


def test_other_weights_are_put_into_a_bundle_that_is_nothing_else(checkpoint, tmp_path):
    from zoo_onnx.exporter import OnnxExporter

    bundle = tmp_path / "bundle"
    export(checkpoint, OnnxExporter(), bundle, origin=Origin("toy"), graphs=["decode_left"])
    (bundle / "notes.txt").write_text("mine")
    before = tree(bundle)
    with pytest.raises(UsageError, match=r"bundle is a bundle that also holds 'notes.txt', which would be lost"):
        renew(checkpoint, OnnxExporter(), open_bundle(bundle), origin=Origin("toy"))
    assert tree(bundle) == before


def test_nothing_is_fetched_for_a_place_that_cannot_be_used(zoo, tmp_path):
    (tmp_path / "album").touch()
    assert "album is a file, expected a folder" in zoo("export", "emoji-search", "--out", tmp_path / "album").error


def test_a_file_on_the_way_to_a_place_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file is a file, expected a folder; `zoo export` replaces only a bundle"):
        replaceable(tmp_path / "file" / "deep" / "out", BUNDLE)


def test_a_bundle_whose_files_were_lost_or_changed_can_be_exported_again(exported, tmp_path):
    out = shutil.copytree(exported, tmp_path / "out")
    (out / "README.md").write_text("changed")
    (out / "spec.json").unlink()
    assert replaceable(out, BUNDLE) == out


def test_what_a_killed_process_left_unfinished_is_no_stranger(tmp_path):
    (tmp_path / ".log.jsonl.staging-0123abcd.4711.0123abcd").touch()
    assert fillable(tmp_path, RUN) == tmp_path
    (tmp_path / ".hidden").touch()
    with pytest.raises(UsageError, match=r"holds '.hidden'"):
        fillable(tmp_path, RUN)


@pytest.mark.parametrize("beside", ["out.json", "out.keys.jsonl", "out.skipped.jsonl"])
def test_what_lies_where_the_companions_of_one_file_of_vectors_would_is_left(beside, call, tmp_path):
    (tmp_path / beside).write_text("mine")
    result = call("embed-file", tmp_path / "out.npy")
    assert result.exit_code == 2
    assert (
        f"{tmp_path / beside} is there already, where `zoo embed` would write what belongs to out.npy" in result.error
    )
    assert tree(tmp_path / beside) == {}
    assert (tmp_path / beside).read_text() == "mine"


def test_the_outputs_of_another_graph_stay_and_rows_of_an_earlier_run_go(zoo, bundle, tmp_path):
    out = tmp_path / "made"
    for rows in (3, 1):
        np.save(tmp_path / "latent.npy", np.ones((rows, 2), np.float32))
        for graph in ("decode_left", "decode_right"):
            result = zoo("run", bundle, graph, "-i", f"latent={tmp_path / 'latent.npy'}", "--out", out)
            assert result.stderr == f"wrote {1 + rows} files to {out}\n"
    names = {f"decode_{side}{what}" for side in ("left", "right") for what in (".total.npy", "-0.png")}
    assert {path.name for path in out.iterdir()} == {"manifest.json", *names}
    assert json.loads((out / "manifest.json").read_text())["graphs"].keys() == {"decode_left", "decode_right"}


def test_a_drawing_has_the_name_of_a_png(zoo, tmp_path):
    error = zoo("data", "toy", "--out", tmp_path / "toy.jpg").error
    assert error == f"--out takes the name of a PNG, such as data/toy.png; got {tmp_path / 'toy.jpg'}"


@pytest.fixture
def run(trained, tmp_path):
    """A copy of a run's folder."""
    return shutil.copytree(trained.parent.parent, tmp_path / "run")


def test_a_run_is_deleted_only_if_it_is_nothing_else(run):
    newest = run / "checkpoint-00000012"
    (newest / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"is a run that also holds 'checkpoint-00000012/notes.txt', which would be"):
        remove_folder(run, RUN)
    with pytest.raises(UsageError, match=r"run is not a checkpoint that `zoo train` wrote, and is not deleted; remove"):
        remove_folder(run, CHECKPOINT)
    (newest / "notes.txt").unlink()
    remove_folder(run, RUN)
    assert not run.exists()
    remove_folder(run, RUN)


def test_an_old_checkpoint_that_holds_notes_is_kept(run, checkpoint, caplog):
    (run / "checkpoint-00000008/notes.txt").write_text("mine")
    (run / "checkpoint-00000012 copy").mkdir()
    Run(run).save(16, checkpoint.model, checkpoint.recipe, {}, {})
    Run(run).save(20, checkpoint.model, checkpoint.recipe, {}, {})
    kept = {f"checkpoint-{name}" for name in ("00000008", "00000012 copy", "00000016", "00000020")}
    assert {path.name for path in run.glob("checkpoint-*")} == kept
    assert "an old checkpoint is kept: " in caplog.text
    assert "holds 'notes.txt'" in caplog.text


def test_a_recipe_of_ones_own_is_not_overwritten_by_its_run(zoo, recipe_file, tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    recipe = shutil.move(recipe_file(), folder / "recipe.toml")
    recipe.write_text(f"# my notes\n{recipe.read_text()}")
    before = tree(folder)
    for options in ((), ("--resume",)):
        result = zoo("train", recipe, "--out", folder, *options)
        assert (result.exit_code, result.stdout) == (2, "")
        assert f"{folder} holds 'recipe.toml'; `zoo train` replaces only a run that it wrote" in result.error
    assert tree(folder) == before


def test_a_run_that_was_killed_before_its_first_checkpoint_can_be_started_again(zoo, recipe_file, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run/recipe.toml").write_text("")
    (tmp_path / "run/log.jsonl").write_text('{"step": 1, "loss": 3.0}\n{"st')
    assert zoo("train", recipe_file(steps=1), "--out", tmp_path / "run").exit_code == 0


def test_a_run_goes_through_a_link_that_leads_to_nothing_yet(zoo, recipe_file, tmp_path):
    (tmp_path / "run").symlink_to(tmp_path / "disk" / "run")
    data = {"broken_at": 3}
    result = zoo("train", recipe_file(data=data, steps=1), "--out", tmp_path / "run", "--on-bad-sample", "skip")
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "disk/run/skipped.jsonl").exists()


def test_nothing_is_deleted_but_by_the_commit_and_in_the_cache():
    root = Path(__file__).parent.parent
    deleting = re.compile(r"rmtree\(|\.unlink\(|os\.remove\(|\.rmdir\(|os\.rename\(|os\.replace\(")
    sources = [
        path for folder in ("zoo", "plugins/*/zoo_*", "exporters/*/zoo_*") for path in root.glob(f"{folder}/**/*.py")
    ]
    assert len(sources) > 100
    found = {path.relative_to(root).as_posix() for path in sources if deleting.search(path.read_text())}
    assert found == {
        "zoo/files/store.py",
        "zoo/files/fetching.py",
        "zoo/samples/decoded_cache.py",
        "zoo/runtime/optimised.py",
    }
