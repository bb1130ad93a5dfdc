"""A layout adds files to a bundle, and the manifest binds them."""

from pathlib import Path

import pytest

from zoo.discovery.components import make_exporter
from zoo.discovery.plugins import Plugins
from zoo.errors import DataError, IntegrityError, PluginError, UnknownNameError
from zoo.exporting.bundle import export, renew
from zoo.exporting.layouts import Arranged, arranged
from zoo.protocols import Sample
from zoo.runtime.bundle import open_bundle
from zoo.runtime.manifest import Manifest
from zoo.runtime.records import Origin


class Notes:
    """Adds one file, and whatever a test wants."""

    def __init__(self, also=lambda folder: None):
        self.also = also

    def write(self, folder, dataset):
        (folder / "notes.txt").write_text(f"{len(open_bundle(folder, keeps=False).graphs)} graphs of {dataset}")
        self.also(folder)


def add(bundle, layout):
    return Arranged("notes", layout, "toys").add_to(bundle, Manifest.read(bundle))


def test_the_files_of_a_layout_are_bound_by_the_manifest(bundle):
    before = open_bundle(bundle).manifest.files
    manifest = add(bundle, Notes())
    assert manifest == open_bundle(bundle).manifest
    assert manifest.layout == "notes"
    assert set(manifest.files) == {*before, "notes.txt"}
    (bundle / "notes.txt").write_text("other graphs")
    with pytest.raises(IntegrityError, match=r"notes.txt is not what its manifest promised"):
        open_bundle(bundle)


@pytest.mark.parametrize("file", ["spec.json", "manifest.json"])
def test_a_layout_that_changes_a_file_is_refused(bundle, file):
    with pytest.raises(
        PluginError, match=f"the layout 'notes' changed the bundle's file '{file}'; it may add files only"
    ):
        add(bundle, Notes(lambda folder: (folder / file).write_text("{}")))


def test_a_layout_that_removes_a_file_is_refused(bundle):
    with pytest.raises(PluginError, match=r"changed the bundle's file 'README.md'"):
        add(bundle, Notes(lambda folder: (folder / "README.md").unlink()))


def test_a_layout_with_folders_is_refused(bundle):
    with pytest.raises(PluginError, match=r"left 'assets', which is not a file; all its files must be in one folder"):
        add(bundle, Notes(lambda folder: (folder / "assets").mkdir()))


def test_a_layout_gets_the_data_without_samples_whose_files_are_not_there(
    bundle, make_recipe, plugins, monkeypatch, caplog
):
    from zoo_toy.dataset import ToyDataset

    samples = [Sample("gone", {"left": Path("/none.txt")}), Sample("there", {"left": [[1, 2, 3]]})]
    shown = []

    class Shows:
        def write(self, folder, dataset):
            shown.append((dataset.inputs["left"], dataset.license, dataset.split("test"), dataset.split("train")))

    monkeypatch.setattr(ToyDataset, "split", lambda self, name: samples)
    monkeypatch.setattr("zoo.exporting.layouts.make_layout", lambda name, plugins: Shows())
    arranged("shows", make_recipe(), plugins).add_to(bundle, open_bundle(bundle).manifest)
    assert shown == [("vectors", "CC0-1.0", samples[1:], samples[1:])]
    assert [record.getMessage() for record in caplog.records] == [
        "samples that cannot be read: 1, left out; the first: sample 'gone', input 'left': there is no file /none.txt; "
        "correct the path"
    ]


def test_an_unknown_layout_is_told_with_those_there_are(make_recipe):
    with pytest.raises(UnknownNameError, match=r"no layout 'webb'"):
        arranged("webb", make_recipe(), Plugins(()))


def test_the_command_lays_a_bundle_out_by_a_registered_layout(zoo, site, trained, tmp_path):
    hook = """
    from zoo import hookimpl
    ZOO_API = 1
    @hookimpl
    def zoo_layouts(): return {"notes": "zoo_notes.layout:Notes"}
    """
    layout = """
    class Notes:
        def write(self, folder, dataset): (folder / "notes.txt").write_text(str(len(dataset.split("train"))))
    """
    site.add("notes", hook, files={"layout.py": layout})
    result = zoo("export", trained, "--to", "toy", "--layout", "notes", "--out", tmp_path / "bundle")
    assert result.exit_code == 0, result.stderr
    assert open_bundle(tmp_path / "bundle").manifest.layout == "notes"
    assert int((tmp_path / "bundle/notes.txt").read_text()) > 0


def test_a_layout_that_fails_leaves_no_bundle(checkpoint, plugins, tmp_path):
    def fail(folder):
        raise DataError("no picture of it")

    layout = Arranged("notes", Notes(fail), "toys")
    with pytest.raises(DataError, match="no picture of it"):
        export(checkpoint, make_exporter("toy", plugins), tmp_path / "bundle", origin=Origin("toy"), layout=layout)
    assert not list(tmp_path.iterdir())


def test_other_weights_get_the_layout_made_anew(checkpoint, tmp_path):
    from zoo_onnx.exporter import OnnxExporter

    layout = Arranged("notes", Notes(), "toys")
    bundle = tmp_path / "bundle"
    made = export(checkpoint, OnnxExporter(), bundle, origin=Origin("toy"), graphs=["decode_left"], layout=layout)
    assert renew(checkpoint, OnnxExporter(), open_bundle(bundle), origin=Origin("toy"), layout=layout) == made
    assert open_bundle(bundle).manifest.files["notes.txt"] == made.files["notes.txt"]
