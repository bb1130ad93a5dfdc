"""Pages in a real browser: search finds typed words, sliders change pictures, and results equal the recorded ones."""

import json
import os
import shutil
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from safetensors.numpy import load_file, save_file
from zoo_web.checking import served
from zoo_web.onnxruntime_web import FILES, TESTED

from zoo import Recipe, as_utf8, open_bundle, train

ROOT = Path(__file__).parents[3]
TOOLS = Path(os.environ.get("ZOO_WEB_TOOLS", ROOT / "build/web/node_modules"))
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or ""
LACKS = " and ".join(
    what
    for what, there in {
        "Chromium (apt-get install chromium)": CHROMIUM,
        "node": shutil.which("node"),
        f"npm install --prefix build/web onnxruntime-web@{TESTED}": (TOOLS / "onnxruntime-web").is_dir(),
        "npm install --prefix build/web playwright-core@1.65.1": (TOOLS / "playwright-core").is_dir(),
    }.items()
    if not there
)
pytestmark = [
    pytest.mark.verify,
    pytest.mark.xdist_group("web"),  # one process exports the entries once
    pytest.mark.skipif(bool(LACKS), reason=f"pages need {LACKS}"),
]
NAMES = "[...document.querySelectorAll('#results .name')].map((name) => name.firstChild.textContent)"
FOUND = "document.getElementById('found').textContent"
PICTURE = "[...document.querySelector('canvas').getContext('2d').getImageData(0, 0, 28, 28).data]"
ROWS = "[...document.querySelectorAll('#graphs tr')].map((row) => ({...row.dataset, said: row.textContent}))"


class Browser:
    """A page in Chromium, driven by lines of JSON."""

    def __init__(self, process):
        self.process = process

    def __call__(self, step, value, **options):
        self.process.stdin.write(json.dumps({step: value, **options}) + "\n")
        self.process.stdin.flush()
        answer = json.loads(self.process.stdout.readline())
        assert "error" not in answer, answer["error"]
        return answer["found"]


@pytest.fixture(scope="module")
def browser():
    command = ["node", Path(__file__).with_name("visit.mjs"), TOOLS, CHROMIUM]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    yield Browser(process)
    process.stdin.close()
    assert process.wait(timeout=30) == 0
    process.stdout.close()


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    """A folder, and the address under which this machine alone sees it."""
    folder = tmp_path_factory.mktemp("published")
    with served(folder) as address:
        yield folder, address


@pytest.fixture(scope="module")
def export_page(published):
    """Export an entry with its page; return the address of the page."""
    folder, address = published

    def export_page(name, *options, as_name=""):
        out = folder / (as_name or name)
        command = [ROOT / ".venv/bin/zoo", "export", name, "--layout", "web", "--out", out, *options]
        env = {**os.environ, "ZOO_ONNXRUNTIME_WEB": str(TOOLS / "onnxruntime-web/dist")}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
        assert done.returncode == 0, done.stderr
        return f"{address}/{out.name}/"

    return export_page


@pytest.fixture(scope="module")
def emoji(export_page):
    return export_page("emoji-search")


@pytest.fixture(scope="module")
def fashion(export_page):
    return export_page("fashion-vae")


@pytest.fixture(scope="module")
def folder(published):
    return published[0]


def checked(browser, page):
    assert browser("goto", f"{page}?check") == "ready"
    return {row["graph"]: row for row in browser("read", ROWS)}


@pytest.mark.parametrize(
    ("locale", "typed", "expected"),
    [
        ("en-US", "red heart", "red heart"),
        ("en-US", "crying cat", "crying cat"),
        ("en-US", "red HEART", "red heart"),
        ("en-US", "汽车", "police car"),
        ("zh-CN", "红心", "红心"),
        ("zh-CN", "哭泣的猫", "哭泣的猫"),
        ("zh-CN", "kissing cat", "亲亲猫"),
    ],
)
def test_what_is_typed_is_found(browser, emoji, locale, typed, expected):
    assert browser("goto", emoji, locale=locale) == "ready"
    browser("fill", ["#query", typed])
    browser("until", f"{FOUND}.includes({json.dumps(typed)})")
    assert expected in browser("read", NAMES)[:5]
    assert browser("complaints", 0) == []


@pytest.mark.parametrize(
    ("form", "typed"),
    [
        ("NFC", "é ñ laughs 하트 🐈"),
        ("NFD", "é ñ laughs 하트 🐈"),
        ("NFC", "ｃａｔ ﾊﾞ laughs"),  # noqa: RUF001
        ("NFC", "\ud83d laughs"),
    ],
)
def test_the_page_makes_the_bytes_that_python_makes(browser, emoji, form, typed):
    browser("goto", emoji)
    text = unicodedata.normalize(form, typed)
    for normal_form in ("NFC", "NFKC"):
        made = browser(
            "read",
            f"import('./search.js').then(({{ utf8Tensor }}) => Array.from(utf8Tensor({json.dumps(text)}, "
            f"{{ smallest: 1, largest: 12 }}, {json.dumps(normal_form)}).data))",
        )
        assert made == as_utf8([text], 12, normal_form)[0].tolist()


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_the_page_finds_the_same_in_whichever_form_a_text_is_typed(browser, emoji, form):
    browser("goto", emoji)
    browser("fill", ["#query", unicodedata.normalize(form, "café laughs")])
    browser("until", f"{FOUND}.includes('laughs')")
    found = browser("read", NAMES)
    browser("fill", ["#query", "café laughs "])
    browser("until", f"{FOUND}.includes('laughs ')")
    assert browser("read", NAMES) == found


def test_the_page_finds_what_the_runtime_finds(browser, emoji, folder):
    bundle = open_bundle(folder / "emoji-search")
    content = json.loads((bundle.folder / "page.json").read_text())["search"]
    vectors = load_file(bundle.folder / "page.safetensors")[content["vectors"]]
    (words,) = bundle.run("encode_caption.raw", {"caption": ["a cat that laughs 🐈"]})["encode_caption.embedding"]
    best = np.argsort(-(vectors @ words), kind="stable")[:24]
    browser("goto", emoji)
    browser("fill", ["#query", "a cat that laughs 🐈"])
    browser("until", f"{FOUND}.includes('laughs')")
    assert browser("read", NAMES) == [content["things"][place]["names"]["en"] for place in best]


def test_an_empty_and_an_endless_query_are_answered(browser, emoji):
    browser("goto", emoji)
    browser("fill", ["#query", " "])
    browser("until", f"{FOUND} === 'Type something.'")
    assert browser("read", NAMES) == []
    browser("fill", ["#query", "红" * 5000])
    browser("until", "document.querySelectorAll('#results li').length === 24")
    assert browser("complaints", 0) == []


def test_a_result_leads_to_what_is_alike_by_the_keyboard(browser, emoji):
    browser("goto", emoji)
    browser("fill", ["#query", "red heart"])
    browser("until", f"{FOUND}.includes('red heart')")
    browser("focus", "#results button")
    browser("press", "Enter")
    browser("until", f"{FOUND}.includes('picture of')")
    assert browser("read", NAMES)[0] == "red heart"
    assert browser("read", "document.activeElement.closest('#results') !== null")


def test_the_language_is_the_browsers_and_can_be_changed(browser, emoji):
    browser("goto", emoji, locale="zh-CN")
    assert browser("read", "document.documentElement.lang") == "zh-Hans"
    assert browser("read", "document.getElementById('search-title').textContent") == "用词语搜索"
    browser("click", "#language")
    assert browser("read", "document.documentElement.lang") == "en"
    assert browser("read", "document.getElementById('query-label').textContent").endswith("in English or Chinese")


def test_licences_of_pictures_are_on_the_page(browser, emoji):
    browser("goto", emoji)
    assert "CC-BY-SA-4.0 (OpenMoji pictures)" in browser("read", "document.getElementById('footer').textContent")


def test_the_first_picture_is_the_one_that_the_runtime_decodes(browser, fashion, folder):
    bundle = open_bundle(folder / "fashion-vae")
    start = load_file(bundle.folder / "page.safetensors")["latent.starts"][:1]
    (decoded,) = bundle.graph("decode_picture")({"latent": start})["decode_picture.intensity"]
    browser("goto", fashion)
    shown = np.array(browser("read", PICTURE)).reshape(28, 28, 4)
    assert np.abs(shown[..., 0] - 255 * decoded[0]).max() <= 1
    assert browser("complaints", 0) == []


def test_a_slider_changes_the_picture(browser, fashion):
    browser("goto", fashion)
    before = browser("read", PICTURE)
    browser("focus", "#slider-0")
    browser("press", "Home")
    browser("until", f"String({PICTURE}) !== {json.dumps(','.join(map(str, before)))}")
    moved = np.abs(np.subtract(browser("read", PICTURE), before)).mean()
    browser("click", "#back")
    browser("until", f"String({PICTURE}) === {json.dumps(','.join(map(str, before)))}")
    browser("focus", "#slider-7")
    browser("press", "Home")
    browser("until", f"String({PICTURE}) !== {json.dumps(','.join(map(str, before)))}")
    assert moved > 5
    assert browser("complaints", 0) == []


def test_a_random_latent_gives_another_picture(browser, fashion):
    browser("goto", fashion)
    before = browser("read", f"String({PICTURE})")
    browser("click", "#random")
    browser("until", f"String({PICTURE}) !== {json.dumps(before)}")


def test_every_slider_has_a_label_and_all_can_be_shown(browser, fashion):
    browser("goto", fashion)
    shown = "[...document.querySelectorAll('.slider')].filter((one) => one.offsetParent).length"
    assert browser("read", shown) == 8
    browser("click", "#more")
    assert browser("read", shown) == 16
    assert browser("read", "[...document.querySelectorAll('input')].every((one) => one.labels.length === 1)")


def test_nothing_stands_out_of_a_narrow_window(browser, emoji, fashion):
    for page in (emoji, fashion, f"{emoji}?check"):
        browser("goto", page)
        for width in (320, 390, 800):
            browser("resize", [width, 800])
            assert browser("read", "document.documentElement.scrollWidth <= innerWidth"), (page, width)


def test_every_graph_gives_the_recorded_answers(browser, emoji, fashion, folder):
    for page, name in ((emoji, "emoji-search"), (fashion, "fashion-vae")):
        rows = checked(browser, page)
        assert set(rows) == set(open_bundle(folder / name).graphs)
        assert {row["state"] for row in rows.values()} == {"passed"}
        assert all(0 < float(row["used"]) <= 1 for row in rows.values())
        assert browser("read", "document.getElementById('verdict').dataset.state") == "passed"
        assert "those of the manifest" in browser("read", "document.getElementById('files').textContent")
        assert browser("complaints", 0) == []


def test_weights_inside_the_graphs_do_as_well(browser, export_page, folder):
    page = export_page("fashion-vae", "--single-file", "--graph", "decode_picture", as_name="single")
    assert not (folder / "single/model.safetensors").exists()
    assert {row["state"] for row in checked(browser, page).values()} == {"passed"}


def test_a_wrong_answer_and_a_changed_file_are_told(browser, fashion, folder):
    shutil.copytree(folder / "fashion-vae", folder / "spoilt")
    path = folder / "spoilt/reference.safetensors"
    reference = load_file(path)
    key = "decode_picture/0/expected/decode_picture.intensity"
    reference[key][-1, 0, 14, 14] += 1e-3
    save_file(reference, path)
    rows = checked(browser, fashion.replace("fashion-vae", "spoilt"))
    assert {name: row["state"] for name, row in rows.items()} == {
        "encode_picture": "passed",
        "decode_picture": "failed",
        "reconstruct_picture": "passed",
    }
    assert "differs by 0.001" in rows["decode_picture"]["said"]
    assert browser("read", "document.getElementById('verdict').textContent") == "1 of 3 graphs do not agree."
    assert browser("read", "document.getElementById('files').textContent").endswith(": reference.safetensors.")


def test_a_page_without_its_runtime_says_how_to_get_it(browser, fashion, folder):
    bare = shutil.copytree(folder / "fashion-vae", folder / "bare")
    for file in FILES:
        (bare / file).unlink()
    assert browser("goto", fashion.replace("fashion-vae", "bare")) == "missing"
    assert f"npm install onnxruntime-web@{TESTED}" in browser("read", "document.getElementById('state').textContent")


def test_the_check_can_be_run_from_the_command_line(fashion, folder):
    command = [sys.executable, "-m", "zoo_web.checking"]
    done = subprocess.run([*command, folder / "fashion-vae"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    graphs = open_bundle(folder / "fashion-vae").graphs
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == list(graphs)
    assert done.stdout.count("% of the tolerance used") == len(graphs)


@pytest.fixture(scope="module")
def export_trained(export_page, tmp_path_factory):
    """Train grey squares and the words for them for a step, export the run with its page; return the address."""
    rows = tmp_path_factory.mktemp("rows")
    lines = ["a_to_b,speech_to_text,split"]
    for place in range(24):
        Image.new("RGB", (8, 8), (10 * place,) * 3).save(rows / f"{place}.png")
        lines.append(f"{place}.png,{('dark', 'grey', 'light')[place // 8]},{'test' if place % 3 == 0 else 'train'}")
    (rows / "captions.csv").write_text("\n".join(lines))
    picture = {"modality": {"name": "image", "size": 8}, "encoder": "mlp", "decoder": "mlp"}
    words = {"modality": {"name": "text", "max_length": 4}, "encoder": "bag-of-embeddings"}
    inputs = {"a_to_b": picture, "speech_to_text": words}

    def export_trained(objective, *names):
        spec = {"objective": objective, "latent_dim": 4, "inputs": {name: inputs[name] for name in names}}
        tables = {
            "spec": spec,
            "data": {"name": "folder", "path": str(rows)},
            "training": {"steps": 1, "batch_size": 8},
        }
        run = rows / objective
        train(Recipe.read(tables, "a recipe"), run)
        return export_page(str(run), as_name=f"odd-{objective}")

    return export_trained


def test_a_page_searches_whatever_its_inputs_are_called(browser, export_trained, folder):
    page = export_trained("infonce", "a_to_b", "speech_to_text")
    assert browser("goto", page) == "ready"
    browser("fill", ["#query", "dark"])
    browser("until", f"{FOUND}.includes('dark')")
    assert set(browser("read", NAMES)) == {"dark", "grey", "light"}
    assert browser("complaints", 0) == []
    rows = checked(browser, page)
    assert {"encode_a_to_b", "encode_speech_to_text.raw", "embed"} <= rows.keys()
    assert {row["state"] for row in rows.values()} == {"passed"}


def test_a_page_slides_whatever_its_input_is_called(browser, export_trained, folder):
    page = export_trained("vae", "a_to_b")
    assert browser("goto", page) == "ready"
    start = load_file(folder / "odd-vae/page.safetensors")["latent.starts"][:1]
    (decoded,) = open_bundle(folder / "odd-vae").graph("decode_a_to_b")({"latent": start})["decode_a_to_b.intensity"]
    shown = np.array(browser("read", PICTURE.replace("28, 28", "8, 8"))).reshape(8, 8, 4)
    assert np.abs(shown[..., 0] - 255 * decoded[0]).max() <= 1
    assert browser("complaints", 0) == []
    assert {row["state"] for row in checked(browser, page).values()} == {"passed"}
