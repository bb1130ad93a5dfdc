"""A bundle of a joint model answers for any subset of its inputs, without torch."""

import numpy as np
import pytest
from PIL import Image
from zoo_onnx.exporter import OnnxExporter

from zoo import Bundle, DataError, Recipe, UsageError, load, open_bundle, write_outputs
from zoo.discovery.components import make_dataset
from zoo.discovery.plugins import installed
from zoo.errors import UnknownNameError
from zoo.exporting.bundle import export
from zoo.reporting.pictures import pictures_of
from zoo.runtime.records import Origin
from zoo.training.train import train

PICTURE = {"modality": {"name": "image", "size": 8, "channels": 1}, "encoder": "mlp", "decoder": "mlp"}
CAPTION = {"modality": "text", "encoder": "bag-of-embeddings", "decoder": "bag-of-words"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of the data and the run, and the checkpoint."""
    folder = tmp_path_factory.mktemp("joint")
    rows = ["picture,caption"]
    for place in range(20):
        Image.new("L", (8, 8), 12 * place).save(folder / f"{place}.png")
        rows.append(f"{place}.png,{'' if place % 4 == 0 else 'dark' if place < 10 else 'light'}")
    (folder / "captions.csv").write_text("\n".join(rows))
    spec = {"objective": "mvae", "latent_dim": 4, "inputs": {"picture": PICTURE, "caption": CAPTION}}
    tables = {"spec": spec, "data": {"name": "folder", "path": str(folder)}, "training": {"steps": 5, "batch_size": 8}}
    return folder, load(train(Recipe.read(tables, "a recipe"), folder / "run"))


@pytest.fixture(scope="module")
def bundle(trained):
    folder, checkpoint = trained
    graphs = ["embed", "embed.raw", "encode_caption", "translate_caption_to_picture"]
    export(checkpoint, OnnxExporter(), folder / "bundle", origin=Origin("joint"), graphs=graphs)
    return open_bundle(folder / "bundle")


def test_an_input_that_is_left_out_is_absent(bundle):
    embedded = bundle.run("embed", {"caption": ["dark", "light"]})["embed.latent"]
    encoded = bundle.run("encode_caption", {"caption": ["dark", "light"]})["encode_caption.latent"]
    np.testing.assert_allclose(embedded, encoded, atol=1e-6)


def test_rows_with_gaps_stand_beside_whole_ones(bundle):
    picture = Image.new("L", (8, 8), 200)
    mixed = bundle.run("embed", {"caption": ["dark", None, "dark"], "picture": [picture, picture, None]})
    single = [
        {"caption": ["dark"], "picture": [picture]},
        {"picture": [picture]},
        {"caption": ["dark"]},
    ]
    for row, values in enumerate(single):
        np.testing.assert_allclose(
            mixed["embed.latent"][row], bundle.run("embed", values)["embed.latent"][0], atol=1e-6
        )
    assert not np.allclose(mixed["embed.latent"][0], mixed["embed.latent"][1])


def test_a_text_is_read_inside_the_graph_where_its_plugin_is_not_installed(bundle, monkeypatch):
    picture = Image.new("L", (8, 8), 200)
    values = {"caption": ["Dark!", None, "unknown"], "picture": [picture, picture, None]}
    expected = bundle.run("embed", values)
    modality = Bundle.modality

    def without_text(self, name):
        if name == "caption":
            raise UnknownNameError("modality", "text", ["image"], hint="`zoo plugins` lists them.")
        return modality(self, name)

    monkeypatch.setattr(Bundle, "modality", without_text)
    np.testing.assert_allclose(bundle.run("embed.raw", values)["embed.latent"], expected["embed.latent"], atol=1e-6)
    only = bundle.run("embed.raw", {"caption": ["dark"]})["embed.latent"]
    assert not np.allclose(only, bundle.run("embed.raw", {"caption": ["light"]})["embed.latent"])


def test_a_value_that_is_no_text_is_refused_before_the_graph(bundle):
    with pytest.raises(DataError, match=r"value 1 is 5, of type int; expected text \(a str\)"):
        bundle.run("embed.raw", {"caption": ["dark", 5]})


def test_arrays_that_are_given_by_tensor_are_present(bundle):
    picture = Image.new("L", (8, 8), 200)
    pixels = bundle.modality("picture").to_arrays([picture])["pixels"]
    by_tensor, by_value = (
        bundle.run("embed", values) for values in ({"picture.pixels": pixels}, {"picture": [picture]})
    )
    np.testing.assert_array_equal(by_tensor["embed.latent"], by_value["embed.latent"])


def test_nothing_at_all_is_refused(bundle):
    with pytest.raises(UsageError, match="give at least one input; got none"):
        bundle.run("embed", {})


def test_a_row_of_nothing_has_the_latent_of_nothing_known(bundle):
    picture = Image.new("L", (8, 8), 200)
    found = bundle.run("embed", {"caption": [None, "dark"], "picture": [None, picture]})["embed.latent"]
    assert found[0].tolist() == [0] * 4  # the prior's mean
    np.testing.assert_allclose(
        found[1], bundle.run("embed", {"caption": ["dark"], "picture": [picture]})["embed.latent"][0], atol=1e-6
    )


def test_unequal_numbers_of_values_are_refused(bundle):
    message = (
        "'embed' takes one value per row for each input, got 2 of 'caption', 1 of 'picture'; give None where a value"
    )
    with pytest.raises(UsageError, match=message):
        bundle.run("embed", {"caption": ["dark", "light"], "picture": [Image.new("L", (8, 8))]})


def test_an_unknown_input_is_refused(bundle):
    with pytest.raises(UsageError, match="the graph 'embed' has no input 'sound'; it takes caption, picture"):
        bundle.run("embed", {"sound": ["bark"]})


def test_a_missing_value_is_refused_where_the_graph_knows_no_gaps(bundle):
    with pytest.raises(DataError):
        bundle.run("encode_caption", {"caption": ["dark", None]})


def test_a_translation_is_written_as_the_target_is_drawn(bundle, tmp_path):
    graph = "translate_caption_to_picture"
    write_outputs(bundle, graph, bundle.run(graph, {"caption": ["dark", "light"]}), tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [f"{graph}-0.png", f"{graph}-1.png"]


def test_the_report_shows_draws_of_both_and_translations_both_ways(trained):
    _, checkpoint = trained
    samples = make_dataset(checkpoint.recipe.data, installed()).split("train")
    titles = [picture.title for picture in pictures_of(checkpoint.model, samples)]
    assert titles[0] == "picture, caption: decoded from latents drawn from the prior, one latent per column"
    assert titles[1:] == [
        f"{a} to {b}: held-out values above, what they are translated to below"
        for a, b in (("picture", "caption"), ("caption", "picture"))
    ]
