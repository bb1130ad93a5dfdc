"""The pages for those who work on the zoo: their commands exist, their numbers are the code's, a workflow runs them."""

import re
from pathlib import Path

import pytest
import yaml

import zoo
from zoo.recipes import tables
from zoo.runtime import manifest

ROOT = Path(__file__).parent.parent
GUIDES = [ROOT / f"docs/{name}.md" for name in ("contributing", "releasing", "versions", "security")]
WORKFLOW = ROOT / ".github/workflows/check.yml"
GOALS = set(re.findall(r"^(\w+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
SECTIONS = ["Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"]


def shown(path):
    return path.name


@pytest.mark.parametrize("page", [*GUIDES, ROOT / "README.md"], ids=shown)
def test_the_goals_of_make_that_a_page_names_exist(page):
    text = page.read_text()
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL))
    named = re.findall(r"`make (\w+)`", text) + re.findall(r"^make (\w+)", blocks, re.MULTILINE)
    assert set(named) <= GOALS
    assert named or page.name == "security.md"


@pytest.mark.parametrize("page", GUIDES, ids=shown)
def test_the_files_and_modules_that_a_page_names_exist(page):
    text = page.read_text()
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} - {"dist", "quickstart"}  # which commands write
    for name in re.findall(r"`([\w.-]+/[\w./-]*)`", text):
        assert name.partition("/")[0] not in folders or (ROOT / name).exists(), name
    for name in re.findall(r"python -m (zoo[\w.]+)", text):
        assert (ROOT / f"{name.replace('.', '/')}.py").exists(), name


@pytest.mark.parametrize(("name", "page"), [("CONTRIBUTING", "contributing"), ("SECURITY", "security")])
def test_what_a_host_of_repositories_looks_for_leads_to_the_page(name, page):
    (line,) = (ROOT / f".github/{name}.md").read_text().splitlines()
    assert f"](../docs/{page}.md)" in line


def test_the_procedure_of_a_release_has_ten_steps():
    text = (ROOT / "docs/releasing.md").read_text()
    assert [int(number) for number in re.findall(r"^(\d+)\. ", text, re.MULTILINE)] == [*range(1, 11)]


def test_the_policy_of_versions_tells_the_schemas_that_are_written():
    told = re.findall(r"^\| (.+?) \| (\d) \|$", (ROOT / "docs/versions.md").read_text(), re.MULTILINE)
    assert dict((kinds.split(",")[0].split(" ")[0], int(number)) for kinds, number in told) == {
        "recipe": tables.SCHEMA,
        "bundle": manifest.SCHEMA,
    }


def test_the_policy_of_versions_tells_the_number_of_plugins():
    text = (ROOT / "docs/versions.md").read_text()
    assert f"`ZOO_API = {zoo.API_VERSION}`" in text
    pins = set(re.findall(r"`modalzoo>=[\d.]+,<[\d.]+`", text + (ROOT / "docs/releasing.md").read_text()))
    (own,) = pins
    assert own.strip("`") in (ROOT / "plugins/text/pyproject.toml").read_text()


def test_the_workflow_runs_what_a_change_must_pass():
    found = yaml.safe_load(WORKFLOW.read_text())
    runs = {name: [step["run"] for step in job["steps"] if "run" in step] for name, job in found["jobs"].items()}
    assert runs["check"] == ["make check"]
    assert runs["verify"][-1].endswith(".ci/run")
    assert (ROOT / ".ci/run").read_text().splitlines()[-2:] == ["make check", "make verify"]
    assert set(found[True]) >= {"push", "pull_request"}  # `on` is true to YAML 1.1


def test_the_workflow_has_no_secret_and_may_only_read():
    text = WORKFLOW.read_text()
    assert "secrets." not in text
    assert yaml.safe_load(text)["permissions"] == {"contents": "read"}


def releases():
    """Return what the changelog has on each release: its heading, and the headings below."""
    parts = re.split(r"^## (.*)$", (ROOT / "CHANGELOG.md").read_text(), flags=re.MULTILINE)[1:]
    return {
        title: re.findall(r"^### (.*)$", text, re.MULTILINE)
        for title, text in zip(parts[::2], parts[1::2], strict=True)
    }


def test_the_changelog_groups_what_changed_once_per_release():
    for title, headings in releases().items():
        assert headings == [name for name in SECTIONS if name in headings], title


def test_the_newest_release_of_the_changelog_is_the_version_of_the_zoo():
    first, *rest = releases()
    assert first == "[Unreleased]"
    assert re.fullmatch(rf"\[{re.escape(zoo.__version__)}\] - \d{{4}}-\d\d-\d\d", rest[0])
