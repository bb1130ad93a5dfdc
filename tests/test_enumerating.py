"""The page for writers of plugins lists what each distribution of this repository registers."""

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from zoo.discovery.enumerating import END, START, command, enumerated
from zoo.errors import PluginError, UsageError

PAGE = Path(__file__).parent.parent / "plugins/README.md"
OPTIONS = PAGE.parent.parent / "docs/components.md"
FINCHES = """
from zoo import hookimpl

ZOO_API = 1


@hookimpl
def zoo_encoders():
    return {"counts/b": "zoo_finches.b:B", "counts/a": "zoo_finches.a:A"}


@hookimpl
def zoo_modalities():
    return {"counts": "zoo_finches.modality:Counts"}


@hookimpl
def zoo_registries():
    return ["zoo_finches/registry.toml"]
"""


def test_the_page_lists_every_component_that_is_registered_today():
    again = "write it again: python -m zoo.discovery.enumerating plugins/README.md"
    assert enumerated(PAGE.read_text(), PAGE.parent) == PAGE.read_text(), again


def test_the_page_of_options_tells_what_each_takes_today():
    again = "write it again: python -m zoo.discovery.enumerating docs/components.md"
    assert enumerated(OPTIONS.read_text(), OPTIONS.parent) == OPTIONS.read_text(), again


@pytest.mark.parametrize(
    "told",
    [
        "### Encoder `image/vit`\n\nOf `modalzoo-image`. Cuts the picture into squares of `patch` pixels and lets",
        "| `dropout` | a number from 0 and below 1 | `0.0` |",
        "Encodes an input into one latent point, and decodes the input from it.\n\nNo options.\n",
        "| `path` | a text | must be given |",
        "| `scale` | a number from 1e-14 to 1e+14, or none | none |",
        "## The keys of `[training]`\n\n| key | takes | default |\n| --- | --- | --- |\n| `steps` | a whole number",
        "| `latent_dim` | a whole number from 1 | must be given |",
    ],
)
def test_the_page_of_options_tells_types_ranges_and_defaults(told):
    assert told in OPTIONS.read_text()


@pytest.fixture
def repository(tmp_path):
    """A page beside one distribution, whose hooks the test writes."""
    package = tmp_path / "plugins/finches/zoo_finches"
    package.mkdir(parents=True)
    (package.parent / "pyproject.toml").write_text(
        '[project]\nname = "modalzoo-finches"\n[project.entry-points.modalzoo]\nfinches = "zoo_finches"\n'
    )
    (package / "__init__.py").write_text(FINCHES)
    page = tmp_path / "plugins/README.md"
    page.write_text(f"# Plugins\n\n{START}\noutwith\n{END}\n\nThe end.\n")
    yield page
    sys.modules.pop("zoo_finches", None)


def test_kinds_and_names_stand_in_order_with_the_registries_and_nothing_has_to_be_installed(repository):
    written = enumerated(repository.read_text(), repository.parent)
    told = "modality `counts`; encoders `counts/a`, `counts/b`; registry `zoo_finches/registry.toml`"
    assert f"| `plugins/finches/` | `modalzoo-finches` | {told} |" in written
    assert written.startswith("# Plugins\n\n")
    assert written.endswith("\n\nThe end.\n")
    assert "outwith" not in written
    assert enumerated(written, repository.parent) == written


def test_a_plugin_that_cannot_be_registered_is_named(repository):
    (repository.parent / "finches/zoo_finches/__init__.py").write_text("ZOO_API = 99\n")
    with pytest.raises(PluginError, match="modalzoo-finches cannot be registered: it is written for plugin API 99"):
        enumerated(repository.read_text(), repository.parent)


def test_a_page_without_its_marks_is_refused_and_stays(repository):
    repository.write_text("# Plugins\n")
    with pytest.raises(UsageError, match=r"the page has no lines '<!-- components: .* where the table should stand"):
        CliRunner().invoke(command, [str(repository)], catch_exceptions=False)
    assert repository.read_text() == "# Plugins\n"
