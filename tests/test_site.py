"""The documentation site: its navigation has each page, its reference each name, and nothing comes from elsewhere."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest
from markdown_it import MarkdownIt

import zoo
from zoo import hookspecs, testing as zoo_testing
from zoo.cli import group
from zoo.cli.reference import reference

ROOT = Path(__file__).parent.parent
CONFIG = ROOT / "docs/mkdocs.yml"
THEMES = sorted((ROOT / "docs/reference").glob("*.md"))
# What a text leads to the glossary for.
OURS = ("bundle", "entry", "front", "layout", "recipe", "regime", "stage", "translation")
ELEMENTS = ("table", "tr", "td", "li", "pre", "blockquote", "img", "h2", "h3")
# What a browser loads without being asked: all but links to be clicked.
LOADS = re.compile(r"<(?:script|img|iframe|source|video|audio|link)\b[^>]*?\b(?:src|href)=[\"']?(?:https?:)?//[^>]*>")
LOADS_IN_STYLE = re.compile(r"(?:@import\s*|url\()[\"']?(?:https?:)?//[^)\"']*")


def pages():
    spec = importlib.util.spec_from_file_location("repository", ROOT / "docs/site/repository.py")
    repository = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(repository)
    return [path.relative_to(ROOT).as_posix() for path in repository.pages()]


def shown_on(page):
    return re.findall(r"^::: zoo\.(\w+)$", page.read_text(), re.MULTILINE)


def test_the_navigation_names_each_page_once():
    named = re.findall(r"[\w./-]+\.md\b", CONFIG.read_text().partition("\nnav:\n")[2])
    assert sorted(named) == pages(), "name each page under nav in docs/mkdocs.yml"


def test_the_overview_names_each_page_of_the_navigation():
    overview = ROOT / "docs/index.md"
    linked = {
        (overview.parent / target).resolve().relative_to(ROOT).as_posix()
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", overview.read_text())
    }
    assert [page for page in pages() if page not in linked | {"docs/index.md"}] == []


def test_each_public_name_stands_on_one_page_of_the_reference():
    shown = [name for page in THEMES for name in shown_on(page) if name not in ("hookspecs", "testing")]
    assert sorted(shown) == zoo.__all__, "add `::: zoo.NAME` to a page in docs/reference"


def test_the_page_of_commands_is_what_their_help_says():
    again = "write it again: python -m zoo.cli.reference docs/commands.md"
    assert (ROOT / "docs/commands.md").read_text() == reference(), again


def commands(command, *path):
    yield " ".join(path)
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            yield from commands(command.get_command(context, name), *path, name)


def test_each_command_has_its_heading_on_the_page_of_commands():
    headings = re.findall(r"^## `(.+)`$", (ROOT / "docs/commands.md").read_text(), re.MULTILINE)
    assert headings == list(commands(group, "zoo"))
    assert len(headings) > 15


def test_the_glossary_is_in_order_and_explains_the_words_of_our_own():
    terms = re.findall(r"^## (.+)$", (ROOT / "docs/glossary.md").read_text(), re.MULTILINE)
    assert terms == sorted(terms, key=str.lower)
    assert {*OURS, "K", "modality", "parity", "spec"} <= set(terms)


@pytest.mark.parametrize("word", OURS)
def test_a_word_of_our_own_is_led_from_a_text_to_the_glossary(word):
    assert [page for page in pages() if f"glossary.md#{word})" in (ROOT / page).read_text()]


@pytest.mark.parametrize("page", [page for page in pages() if page != "CHANGELOG.md"])
def test_a_page_says_at_its_end_what_comes_next(page):
    *_, last = (ROOT / page).read_text().strip().split("\n\n")
    assert re.match(r"(Next:|接下来).*\]\(", last, re.DOTALL), last


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Build the site strictly, as `make docs` does."""
    folder = tmp_path_factory.mktemp("site")
    command = [
        sys.executable,
        "-m",
        "mkdocs",
        "build",
        "--strict",
        "--config-file",
        str(CONFIG),
        "--site-dir",
        str(folder),
    ]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.mark.verify
def test_each_page_is_built_with_all_its_links_and_anchors(built):
    found = {path.relative_to(built).as_posix() for path in built.rglob("*.html")} - {"404.html"}
    assert found == set(map(html_of, pages()))


def html_of(page):
    return re.sub(r"README\.md$", "index.md", page).replace(".md", ".html")


def counted(html):
    return {element: len(re.findall(rf"<{element}[ >]", html)) for element in ELEMENTS}


@pytest.mark.verify
@pytest.mark.parametrize("page", [page for page in pages() if not page.startswith("docs/reference/")])
def test_a_page_has_the_lists_tables_and_blocks_that_it_has_in_the_repository(page, built):
    _, _, article = (built / html_of(page)).read_text().partition("<article")
    there = MarkdownIt("commonmark").enable("table").render((ROOT / page).read_text())
    assert counted(article.partition("</article>")[0]) == counted(there)


@pytest.mark.verify
def test_a_public_name_in_a_text_leads_to_its_place_in_the_reference(built):
    page = (built / "docs/python.html").read_text()
    assert '<a href="reference/errors.html#zoo.ZooError"><code>zoo.ZooError</code></a>' in page
    assert '<a href="reference/functions.html#zoo.entries"><code>zoo.entries()</code></a>' in page
    led = {
        (path.parent / target).resolve().relative_to(built).as_posix() + anchor
        for path in built.rglob("*.html")
        for target, anchor in re.findall(r'<a href="([\w./]+)(#zoo\.\w+)"><code>', path.read_text())
    }
    anchors = {
        f"{path.relative_to(built).as_posix()}#{anchor}"
        for path in built.glob("docs/reference/*.html")
        for anchor in re.findall(r'<h\d id="([^"]+)"', path.read_text())
    }
    assert len(led) > 50
    assert led <= anchors


@pytest.mark.verify
def test_the_site_loads_nothing_from_another_host(built):
    found = [(path.name, *LOADS.findall(path.read_text())) for path in built.rglob("*.html")]
    found += [(path.name, *LOADS_IN_STYLE.findall(path.read_text())) for path in built.rglob("*.css")]
    assert [file for file in found if len(file) > 1] == []
    assert LOADS.search('<link rel="preconnect" href="https://fonts.gstatic.com" crossorigin>')
    assert LOADS_IN_STYLE.search("@import url(https://fonts.googleapis.com/css)")


@pytest.mark.verify
def test_the_reference_has_an_anchor_for_each_name_hook_and_contract(built):
    anchors = {
        anchor
        for path in built.glob("docs/reference/*.html")
        for anchor in re.findall(r'<h\d id="([^"]+)"', path.read_text())
    }
    hooks = {name for name in vars(hookspecs) if name.startswith("zoo_")}
    assert {f"zoo.{name}" for name in zoo.__all__} <= anchors
    assert {f"zoo.hookspecs.{name}" for name in hooks} <= anchors
    assert {f"zoo.testing.{name}" for name in zoo_testing.__all__} <= anchors


@pytest.mark.verify
def test_the_search_index_has_every_page(built):
    index = (built / "search/search_index.json").read_text()
    assert [path.name for path in built.rglob("*.html") if path.name != "404.html" and path.name not in index] == []
