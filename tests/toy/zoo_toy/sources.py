"""The files of this repository, as tests of its layout read them."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[3]

CORE = sorted((ROOT / "zoo").rglob("*.py"))

PLUGINS = sorted(path for kind in ("plugins", "exporters") for path in ROOT.glob(f"{kind}/*/zoo_*/**/*.py"))

PROJECTS = [
    ROOT / "pyproject.toml",
    *sorted(ROOT.glob("plugins/*/pyproject.toml")),
    *sorted(ROOT.glob("exporters/*/pyproject.toml")),
]

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")), *sorted(ROOT.glob("plugins/**/README.md"))]
PAGES += [ROOT / "exporters/README.md"]


def shown(path):
    return str(path.relative_to(ROOT))


def nodes(path, *kinds):
    return [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, kinds)]


def imported(path):
    """Return the modules that a file imports, with the names taken from each."""
    for node in nodes(path, ast.Import, ast.ImportFrom):
        if isinstance(node, ast.Import):
            yield from ((alias.name, ()) for alias in node.names)
        else:
            yield node.module or "", tuple(alias.name for alias in node.names)
