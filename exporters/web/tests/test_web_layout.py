"""What the layout adds to a bundle."""

import json
import logging
import re
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file
from zoo_web.checking import check_in_browser, chromium, main
from zoo_web.layout import PAGE, WebLayout
from zoo_web.onnxruntime_web import FILES, TESTED

from zoo import NotFoundError, UsageError
from zoo.discovery.components import options_of
from zoo.discovery.plugins import installed

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch, tmp_path):
    """No onnxruntime-web here."""
    monkeypatch.delenv("ZOO_ONNXRUNTIME_WEB", raising=False)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def runtime_files(tmp_path):
    """A folder that looks like onnxruntime-web's."""
    folder = tmp_path / "dist"
    folder.mkdir()
    for file in FILES:
        (folder / file).write_text(file)
    return folder


@pytest.fixture
def laid_out(make_bundle, colours):
    """The folder of a bundle with its page, and the page's data."""
    folder = make_bundle()
    WebLayout().write(folder, colours)
    return folder, json.loads((folder / "page.json").read_text())


def names_in(folder):
    return {path.name for path in folder.iterdir()}


def test_the_layout_is_registered_and_takes_the_folder_of_the_runtime():
    layout = installed().load("layout", "web")
    assert layout is WebLayout
    assert list(options_of(layout, "layout")) == ["onnxruntime_web"]


def test_files_are_added_and_none_is_changed(make_bundle, colours):
    folder = make_bundle()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    WebLayout().write(folder, colours)
    assert {name: (folder / name).read_bytes() for name in before} == before
    added = {"page.json", "page.safetensors", "search.png", "latent.png", *names_in(PAGE)}
    assert names_in(folder) == {*before, *added}
    assert {"index.html", "page.js", "page.css"} <= names_in(PAGE)


def test_the_same_bundle_gives_the_same_bytes(make_bundle, colours, tmp_path):
    folder = make_bundle()
    again = shutil.copytree(folder, tmp_path / "again")
    for one in (folder, again):
        WebLayout().write(one, colours)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        path.name: path.read_bytes() for path in again.iterdir()
    }


def test_no_file_names_a_path_of_this_machine(laid_out):
    folder, _ = laid_out
    for path in folder.iterdir():
        assert str(folder.parent).encode() not in path.read_bytes(), path.name
        assert str(ROOT).encode() not in path.read_bytes(), path.name


def test_each_thing_is_found_once_with_its_name_in_every_language(laid_out):
    things = laid_out[1]["search"]["things"]
    assert [thing["names"] for thing in things] == [
        {"en": "red", "zh": "红"},
        {"en": "green", "zh": "绿"},
        {"en": "blue", "zh": "蓝"},
        {"en": "orange", "zh": "橙"},
    ]
    assert [thing["unseen"] for thing in things] == [False, False, True, True]


def test_the_vectors_of_things_are_those_of_the_graph(laid_out):
    folder, content = laid_out
    vectors = load_file(folder / "page.safetensors")[content["search"]["vectors"]]
    assert vectors.dtype == np.float32
    assert np.array_equal(vectors, [*np.eye(3), [1, 1, 0]])


def test_the_pictures_of_things_lie_in_one_file(laid_out):
    folder, content = laid_out
    tiles = content["search"]["tiles"]
    sheet = Image.open(folder / tiles["file"]).convert("RGB")
    assert (tiles["side"], tiles["columns"], tiles["count"]) == (8, 4, 4)
    colours = [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0)]
    assert [sheet.getpixel((8 * place + 4, 4)) for place in range(4)] == colours


def test_the_words_to_try_find_what_they_name(laid_out):
    search = laid_out[1]["search"]
    assert {"language": "en", "text": "red"} in search["tried"]
    assert search["languages"] == ["en", "zh"]
    assert search["unseen_found"] == 1  # among the first 24 of 4


def test_dimensions_that_change_the_picture_most_come_first(laid_out):
    latent = laid_out[1]["latent"]
    assert latent["decoders"][0]["output"] == "decode_picture.intensity"
    assert [dimension["place"] for dimension in latent["dimensions"]] == [2, 1, 0]
    shares = [dimension["share"] for dimension in latent["dimensions"]]
    assert shares == [pytest.approx(2 / 3, abs=1e-3), pytest.approx(1 / 3, abs=1e-3), 0]


def test_the_rows_to_start_from_are_latents_of_held_out_rows(laid_out):
    folder, content = laid_out
    starts = load_file(folder / "page.safetensors")[content["latent"]["starts"]]
    assert np.array_equal(starts[0], [0, 0, 1])
    assert content["latent"]["names"][:2] == ["en", "zh"]
    assert len(starts) == len(content["latent"]["names"]) == content["latent"]["tiles"]["count"]


def test_licences_are_told(laid_out):
    assert laid_out[1]["data_license"] == "CC0-1.0"


@pytest.mark.parametrize(
    ("graphs", "search", "latent"),
    [
        (["encode_caption.raw", "encode_picture"], True, False),
        (["encode_picture", "decode_picture"], False, True),
        (["encode_picture"], False, False),
        (["decode_picture"], False, False),
    ],
)
def test_the_page_shows_what_the_graphs_can_do(make_bundle, colours, graphs, search, latent):
    folder = make_bundle(*graphs)
    WebLayout().write(folder, colours)
    content = json.loads((folder / "page.json").read_text())
    assert (content["search"] is not None, content["latent"] is not None) == (search, latent)


@pytest.fixture
def without_pictures(colours, monkeypatch):
    """The data, no sample of which has a picture."""
    split = type(colours).split

    def changed(data, name):
        return [replace(sample, inputs={**sample.inputs, "picture": None}) for sample in split(data, name)]

    monkeypatch.setattr(type(colours), "split", changed)
    return colours


def test_data_in_which_nothing_can_be_searched_are_named(make_bundle, without_pictures):
    expected = (
        r"data 'colours': no sample has both 'picture' and 'caption', so the page has nothing to search; add some, or "
    )
    with pytest.raises(UsageError, match=expected):
        WebLayout().write(make_bundle(), without_pictures)


def test_a_split_without_the_input_to_slide_through_is_named(make_bundle, without_pictures):
    expected = (
        r"data 'colours', split 'test': no sample has the input 'picture', whose latents the page slides through; add "
    )
    with pytest.raises(UsageError, match=expected):
        WebLayout().write(make_bundle("encode_picture", "decode_picture"), without_pictures)


def test_graphs_that_are_no_onnx_are_refused(make_bundle, colours):
    folder = make_bundle("decode_picture", suffix=".pt2")
    with pytest.raises(
        UsageError, match=r"needs graphs as ONNX, the bundle has decode_picture.pt2; export with `to='onnx'`"
    ):
        WebLayout().write(folder, colours)


def test_without_the_runtime_the_page_is_written_and_says_how_to_get_it(make_bundle, colours, caplog):
    with caplog.at_level(logging.WARNING):
        WebLayout().write(make_bundle(), colours)
    assert f"npm install onnxruntime-web@{TESTED}" in caplog.text


@pytest.mark.parametrize("how", ["an option", "the setting", "npm's folder here"])
def test_the_runtime_is_copied_beside_the_page(make_bundle, colours, runtime_files, monkeypatch, tmp_path, how):
    folder = make_bundle()
    if how == "the setting":
        monkeypatch.setenv("ZOO_ONNXRUNTIME_WEB", str(runtime_files))
    elif how == "npm's folder here":
        shutil.copytree(runtime_files, tmp_path / "node_modules/onnxruntime-web/dist")
    WebLayout(str(runtime_files) if how == "an option" else "").write(folder, colours)
    assert {(folder / file).read_text() for file in FILES} == set(FILES)


def test_a_folder_that_is_none_of_the_runtimes_is_refused(tmp_path):
    with pytest.raises(
        UsageError, match=r"lacks ort.wasm.min.mjs, so it is not a folder of onnxruntime-web; run `npm install"
    ):
        WebLayout(str(tmp_path))


def test_the_page_says_the_same_things_in_both_languages():
    english, chinese = re.findall(r"^  (?:en|zh): \{\n(.*?)^  \},$", (PAGE / "words.js").read_text(), re.M | re.S)
    keys, others = (re.findall(r"^    (\w+):", part, re.M) for part in (english, chinese))
    assert keys == others
    used = set(re.findall(r'(?:data-word="|say\(\s*"|word: ")(\w+)', "".join(p.read_text() for p in PAGE.iterdir())))
    assert used <= set(keys)


def test_the_version_that_was_tested_is_the_one_that_is_installed_and_told():
    for page in (".ci/run", "exporters/README.md"):
        assert f"onnxruntime-web@{TESTED}" in (ROOT / page).read_text(), page


def test_a_bundle_without_a_page_is_not_checked(make_bundle, capsys):
    folder = make_bundle()
    with pytest.raises(UsageError, match=r"has no page to check; `zoo export --layout web` adds one"):
        check_in_browser(folder)
    assert main(str(folder)) == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_a_missing_browser_is_told_with_how_to_get_one(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(NotFoundError, match=r"no browser: looked for chromium, .*; install one, as by apt-get install"):
        chromium()
