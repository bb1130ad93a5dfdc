"""What fewer bits are worth, and bundles that hold files of fewer bits."""

import ast
import json
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from zoo_onnx.exporter import OnnxExporter

from zoo.errors import ParityError, PluginError, UsageError
from zoo.exporting.bundle import export, renew
from zoo.exporting.precisions.data import drawn
from zoo.exporting.precisions.ranges import check_ranges
from zoo.exporting.precisions.worth import departures, losses, recommended, table
from zoo.parity.precisions import PRECISIONS
from zoo.protocols import Sample
from zoo.runtime.bundle import open_bundle
from zoo.runtime.records import Origin, Worth
from zoo.runtime.replay import replay

CORE = Path(__file__).parent.parent / "zoo"
FULL = Worth(4_000_000, 1.0, 0.1, {"a_to_b.recall@1": 0.5, "a_to_b.chance@1": 0.1, "error": 0.02})


def with_metrics(size=1_000_000, latency=0.5, recall=0.5, error=0.02):
    return Worth(size, latency, 0.2, {"a_to_b.recall@1": recall, "a_to_b.chance@1": 0.1, "error": error})


@pytest.mark.parametrize(
    ("recall", "error", "holds"),
    [(0.491, 0.02, True), (0.489, 0.02, False), (0.5, 0.0209, True), (0.5, 0.0212, False)],
)
def test_shares_hold_within_a_point_and_other_metrics_within_a_twentieth(recall, error, holds):
    assert (departures(with_metrics(recall=recall, error=error), FULL) == []) is holds


def test_a_metric_that_was_not_measured_does_not_hold():
    assert departures(Worth(1, 0.1, 0.1, {}), FULL) == ["a_to_b.recall@1", "a_to_b.chance@1", "error"]


def test_the_fastest_that_holds_is_recommended():
    assert (
        recommended({"fp32": FULL, "int8": with_metrics(), "int8-static": with_metrics(latency=0.1, recall=0.1)})
        == "int8"
    )


def test_of_those_about_as_fast_the_smallest_is_recommended():
    found = {"fp32": FULL, "fp16": with_metrics(2_000_000, 0.99), "int8": with_metrics(1_000_000, 1.05)}
    assert recommended(found) == "int8"


def test_where_nothing_holds_float32_is_recommended():
    assert recommended({"fp32": FULL, "int8": with_metrics(recall=0.0)}) == "fp32"


def test_the_table_has_a_column_a_precision_and_leaves_out_what_chance_gives():
    lines = table({"fp32": FULL, "int8": with_metrics()})
    assert lines[0] == "| | fp32 | int8 |"
    assert "| size, MB | 4.00 | 1.00 |" in lines
    assert "| a_to_b.recall@1 | 0.5 | 0.5 |" in lines
    assert not [line for line in lines if "chance" in line]
    assert "Recommended on a CPU: `int8`" in lines[-1]


def test_a_metric_that_collapses_is_said_first_with_what_float32_has_and_what_chance_gives():
    lines = table({"fp32": FULL, "int8": with_metrics(recall=0.11, error=0.0215)})
    expected = "int8 does not keep the metrics of fp32: a_to_b.recall@1 is 0.11, in fp32 0.5, by chance 0.1"
    assert losses({"fp32": FULL, "int8": with_metrics(recall=0.11, error=0.0215)}) == [expected]
    assert lines[:3] == [f"**{expected}.**", "", "| | fp32 | int8 |"]


def test_nothing_is_said_of_a_precision_that_keeps_its_metrics_or_was_not_measured():
    assert losses({"fp32": FULL, "int8": with_metrics(), "fp16": Worth(1, 0.1, 0.1, {})}) == []


def test_rows_for_calibration_are_drawn_over_a_sorted_split_and_always_the_same():
    samples = [Sample(str(place), {"x": place}) for place in range(1000)]
    rows = drawn(samples, 128, seed=0)
    assert rows == drawn(samples, 128, seed=0) != drawn(samples, 128, seed=1)
    assert len({sample.key for sample in rows}) == 128
    assert 50 <= sum(sample.inputs["x"] >= 500 for sample in rows) <= 78
    assert drawn(samples[:5], 128, seed=0) == samples[:5]


def rows_of(values):
    return [{"x.pixels": np.asarray(values, np.float32)}]


def double(inputs):
    return {"y": 2 * inputs["x.pixels"]}


def test_black_rows_do_not_calibrate_a_file_for_pictures():
    expected = (
        r"^encode_x: the rows that were drawn for calibration have 'x.pixels' from 0 to 0, held-out rows from 0 to 1, "
        r"67% of them outside: int8-static would clip these. Let the split 'train'"
    )
    with pytest.raises(ParityError, match=expected):
        check_ranges("encode_x", PRECISIONS["int8-static"], rows_of([[0, 0, 0]]), rows_of([[0, 0.5, 1]]), double)


def test_answers_are_compared_beside_inputs():
    factors = iter([1, 4])
    with pytest.raises(ParityError, match="have 'y' from 0 to 1, held-out rows from 0 to 4"):
        check_ranges(
            "encode_x",
            PRECISIONS["int8-static"],
            rows_of([[0, 1]]),
            rows_of([[0, 1]]),
            lambda x: {"y": x["x.pixels"] * next(factors)},
        )


def test_a_value_past_the_end_here_and_there_is_none_of_another_kind():
    check_ranges(
        "encode_x",
        PRECISIONS["int8-static"],
        rows_of([np.linspace(0, 1, 100)]),
        rows_of([np.linspace(0, 1.03, 100)]),
        double,
    )


@pytest.fixture(scope="module")
def reduced(checkpoint, tmp_path_factory):
    """A bundle with a file of fewer bits for its graph; read it only."""
    folder = tmp_path_factory.mktemp("reduced") / "bundle"
    export(
        checkpoint, OnnxExporter(), folder, origin=Origin("toy"), graphs=["encode_left"], precisions=["int8-weights"]
    )
    return folder


def test_the_manifest_tells_what_each_precision_is_worth(reduced):
    manifest = json.loads((reduced / "manifest.json").read_text())
    described = manifest["graphs"]["encode_left"]["reduced"]["int8-weights"]
    assert described["file"] == "encode_left.int8-weights.onnx"
    assert described["parity"]["used"] <= 1
    assert manifest["precisions"].keys() == {"fp32", "int8-weights"}
    assert manifest["recommended"] in manifest["precisions"]


def test_the_card_has_the_table(reduced):
    assert "## Precisions\n\n| | fp32 | int8-weights |" in (reduced / "README.md").read_text()


def test_a_bundle_is_opened_at_a_precision_and_answers_within_its_tolerance(reduced):
    reference = load_file(reduced / "reference.safetensors")
    bundle = open_bundle(reduced, precision="int8-weights")
    assert bundle.precisions == ("fp32", "int8-weights")
    key = "encode_left.int8-weights/0"
    inputs = {name.rsplit("/", 1)[1]: array for name, array in reference.items() if name.startswith(f"{key}/inputs/")}
    answer = bundle.graph("encode_left")(inputs)["encode_left.latent"]
    off = abs(answer - reference[f"{key}/expected/encode_left.latent"]).max(axis=1)
    assert (off <= reference[f"{key}/allowed/encode_left.latent"]).all()


def test_every_precision_is_replayed(reduced):
    assert set(replay(open_bundle(reduced))) == {"encode_left", "encode_left.int8-weights"}


def test_a_precision_that_a_bundle_lacks_is_refused_with_those_it_has(reduced):
    with pytest.raises(UsageError, match=r"has no precision 'fp16'; it has fp32, int8-weights; `zoo export --prec"):
        open_bundle(reduced, precision="fp16")


def test_other_weights_do_not_drop_into_files_that_hold_their_own(reduced, checkpoint):
    with pytest.raises(UsageError, match="hold their own weights"):
        renew(checkpoint, OnnxExporter(), open_bundle(reduced), origin=Origin("toy"))


def test_an_exporter_of_a_precision_without_a_tolerance_is_refused(checkpoint, tmp_path):
    class Halving(OnnxExporter):
        precisions = ("fp16", "int4")

    expected = (
        r"^the exporter Halving offers the precision 'int4', for which the zoo states no tolerance; it may offer fp"
    )
    with pytest.raises(PluginError, match=expected):
        export(checkpoint, Halving(), tmp_path / "bundle", origin=Origin("toy"), precisions=["fp16"])
    assert not (tmp_path / "bundle").exists()


def test_float32_is_asked_for_in_vain_since_every_bundle_has_it(checkpoint, tmp_path):
    manifest = export(
        checkpoint, OnnxExporter(), tmp_path, origin=Origin("toy"), graphs=["decode_left"], precisions=["fp32"]
    )
    assert manifest.graphs["decode_left"].files.keys() == {"fp32"}
    assert not manifest.precisions


def test_what_needs_data_is_said_beside_the_tolerance():
    assert {name: precision.calibrated for name, precision in PRECISIONS.items()} == {
        "fp16": False,
        "int8": False,
        "int8-weights": False,
        "int8-static": True,
    }
    assert set(OnnxExporter().precisions) == set(PRECISIONS)


def test_no_other_module_of_the_core_names_a_precision():
    """Except for the precision of a training, which is another thing."""
    known = {"fp32", *PRECISIONS}
    naming = {
        str(path.relative_to(CORE))
        for path in CORE.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and node.value in known
    }
    assert naming == {"parity/precisions.py", "recipes/training.py", "training/launching.py"}


def test_the_help_of_the_export_names_the_precisions(zoo):
    told = " ".join(zoo("export", "--help").stdout.split())
    assert f"one of {', '.join(PRECISIONS)}, measured on the entry's data" in told


def test_an_exporter_without_precisions_says_so(checkpoint, plugins, tmp_path):
    from zoo.discovery.components import make_exporter

    toy = make_exporter("toy", plugins)
    with pytest.raises(UsageError, match="this exporter has no precision 'fp16'; it has only fp32"):
        export(checkpoint, toy, tmp_path / "bundle", origin=Origin("toy"), precisions=["fp16"])
    assert not list(tmp_path.iterdir())


def test_a_file_that_misses_the_tolerance_of_its_precision_leaves_no_bundle(checkpoint, tmp_path):
    class Wrong(OnnxExporter):
        def reduce(self, path, target, precision, calibration):
            import onnx
            from onnx import numpy_helper

            model = onnx.load(path)
            for tensor in model.graph.initializer:
                values = numpy_helper.to_array(tensor)
                if values.dtype == "float32":
                    tensor.CopyFrom(numpy_helper.from_array(values * 2 + 1, tensor.name))
            onnx.save(model, target)

    advice = r"^encode_left, case .*: 'encode_left' cannot be written in int8; leave the graph out by `graphs`, or"
    with pytest.raises(ParityError, match=advice):
        export(checkpoint, Wrong(), tmp_path / "b", origin=Origin("toy"), graphs=["encode_left"], precisions=["int8"])
    assert not list(tmp_path.iterdir())


@pytest.fixture
def toy_data(monkeypatch):
    """Let the splits of the toy data be without samples, or without an input."""
    from dataclasses import replace

    from zoo_toy.dataset import ToyDataset

    split = ToyDataset.split

    def change(*, empty=(), without=()):
        def changed(self, name):
            samples = [] if name in empty else split(self, name)
            return [
                replace(sample, inputs={key: None if key in without else value for key, value in sample.inputs.items()})
                for sample in samples
            ]

        monkeypatch.setattr(ToyDataset, "split", changed)

    return change


def exported_left(checkpoint, folder, *precisions):
    export(checkpoint, OnnxExporter(), folder, origin=Origin("toy"), graphs=["encode_left"], precisions=precisions)
    return (folder / "README.md").read_text(), json.loads((folder / "manifest.json").read_text())


@pytest.mark.parametrize("precision", ["fp16", "int8", "int8-weights"])
def test_what_calibrates_nothing_is_made_without_the_data_and_the_card_says_so(
    precision, checkpoint, toy_data, tmp_path, caplog
):
    toy_data(empty=["train", "validation", "test"])
    card, manifest = exported_left(checkpoint, tmp_path / "bundle", precision)
    assert "At fewer bits `encode_left` were judged only on drawn cases, on no row of data." in card
    assert "No metric of the task was measured, so only `fp32` is recommended." in card
    assert manifest["recommended"] == "fp32"
    assert manifest["graphs"]["encode_left"]["reduced"][precision]["parity"]["cases"] > 3
    (told,) = [record.getMessage() for record in caplog.records if record.name == "zoo.exporting.bundle"]
    assert told == (
        "files of fewer bits are judged only on drawn cases, and no metric is measured: data 'toy', split 'test' has "
        "no samples; no split has any. Files of fewer bits are judged and measured on it: add some"
    )
    assert set(replay(open_bundle(tmp_path / "bundle"))) == {"encode_left", f"encode_left.{precision}"}


def test_samples_that_cannot_be_read_are_left_out_of_calibrating_and_measuring_and_are_told(
    checkpoint, plugins, tmp_path, caplog
):
    from dataclasses import replace

    from zoo.exporting.precisions.data import Data
    from zoo.recipes.spec import Part

    recipe = replace(checkpoint.recipe, data=Part("toy", {"broken_at": 5}))
    card, _ = exported_left(replace(checkpoint, recipe=recipe), tmp_path / "bundle", "fp16")
    assert "only on drawn cases" not in card
    (told,) = [record.getMessage() for record in caplog.records if record.name == "zoo.exporting.bundle"]
    assert told.startswith(
        "samples that cannot be read: 1, left out; the first: sample 'test-5', input 'left': value 0"
    )
    data = Data.load(checkpoint.model, recipe, plugins)
    (graph,) = checkpoint.model.graphs(["encode_left"])
    assert sum(len(rows["left.mask"]) for rows in data.calibration(graph, PRECISIONS["int8-static"])) == 31
    assert list(data.left_out.errors) == ["test-5", "train-5"]


def test_with_the_data_the_card_does_not_speak_of_drawn_cases(reduced):
    assert "only on drawn cases" not in (reduced / "README.md").read_text()


def test_a_graph_that_no_row_of_the_data_fits_is_judged_on_drawn_cases(checkpoint, toy_data, tmp_path):
    toy_data(without=["left"])
    card, _ = exported_left(checkpoint, tmp_path / "bundle", "int8-weights")
    assert "At fewer bits `encode_left` were judged only on drawn cases" in card


def test_what_is_calibrated_names_the_split_that_has_no_row_for_it(checkpoint, toy_data, tmp_path):
    toy_data(empty=["train"])
    with pytest.raises(UsageError, match=r"split 'train' has no samples; .* Ranges are calibrated on it: add some, or"):
        exported_left(checkpoint, tmp_path / "bundle", "int8-static")
    assert exported_left(checkpoint, tmp_path / "bundle", "fp16")
    toy_data(without=["left"])
    expected = (
        "data 'toy', split 'train': no sample has all that 'encode_left' takes: left; leave this graph out by "
        "`graphs`, or the precision int8-static"
    )
    with pytest.raises(UsageError, match=expected):
        exported_left(checkpoint, tmp_path / "bundle", "int8-static")


def test_data_that_are_needed_are_looked_at_before_anything_is_traced(checkpoint, toy_data, tmp_path, monkeypatch):
    toy_data(empty=["test"])

    def write(*arguments):
        raise AssertionError("a graph was written before the data were looked at")

    monkeypatch.setattr(OnnxExporter, "write", write)
    with pytest.raises(UsageError, match="split 'test' has no samples"):
        exported_left(checkpoint, tmp_path / "bundle", "int8-static")
