"""Names of tensors and graphs are joined and taken apart in one place."""

import ast
import re

import pytest
from zoo_toy.sources import CORE, PLUGINS, ROOT, nodes, shown

# What joins names of tensors and graphs, so that a name could be taken apart by it.
VERBS = ("encode_", "decode_", "reconstruct_", "translate_", "_to_")

LEAVES = (".raw", ".present", ".utf8", ".latent", ".embedding")

APART = ("partition", "rpartition", "split", "rsplit")

ENDS = ("startswith", "endswith", "removeprefix", "removesuffix")

# Files in which a dot or an underscore separates something else, and what that is.
ELSEWHERE = {
    "zoo/discovery/entry_points.py": "modules of Python",
    "plugins/transformers/zoo_transformers/sentence.py": "classes of Python",
    "zoo/discovery/extras.py": "modules of Python",
    "zoo/discovery/registered.py": "modules of Python",
    "zoo/evaluation/metrics.py": "metrics, which objectives name as they like",
    "zoo/files/fetching.py": "names of unfinished files",
    "zoo/recipes/naming.py": "names of tensors and graphs: the one place for it",
    "zoo/models/parts.py": "places of modules in a module of torch",
    "zoo/recipes/spec.py": "keys of a recipe",
    "zoo/samples/decoded_cache.py": "modules of Python",
    "zoo/scaffolding/__init__.py": "versions",
    "zoo/testing/plugin.py": "modules of Python",
    "zoo/training/starting.py": "parts of a model",
    "zoo/verbs/data.py": "keys of a recipe",
    "exporters/onnx/zoo_onnx/composing.py": "places of modules in a module of torch",
    "plugins/datasets/zoo_datasets/stamps.py": "keys of Tux Paint's descriptions",
}


def taken_apart(path):
    """Yield what takes names apart, or joins them, in a file: joiners as texts, and methods called with a joiner."""
    told = {id(node.value) for node in nodes(path, ast.Expr)}  # docstrings
    for node in nodes(path, ast.Constant, ast.JoinedStr, ast.Call):
        if isinstance(node, ast.Constant) and node.value in VERBS + LEAVES and id(node) not in told:
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            texts = [part.value if isinstance(part, ast.Constant) else "" for part in node.values]
            for text, following in zip(texts, [*texts[1:], "."], strict=True):
                yield from (verb for verb in VERBS if text.endswith(verb) and not following)
                yield from (leaf for leaf in LEAVES if re.match(rf"{re.escape(leaf)}\b", text))
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            first = ast.unparse(node.args[0]).removeprefix("f").strip("'\"")
            if (node.func.attr in APART and first in (".", "_")) or (
                node.func.attr in ENDS and (first.startswith((".{", "_{")) or first.endswith(("}.", "}_")))
            ):
                yield ast.unparse(node)


@pytest.mark.parametrize("path", CORE + PLUGINS + sorted((ROOT / "benchmarks").glob("*.py")), ids=shown)
def test_no_name_of_a_tensor_or_a_graph_is_joined_or_taken_apart_by_hand(path):
    found = list(taken_apart(path))
    assert bool(found) == (shown(path) in ELSEWHERE), f"{found}: use zoo.recipes.naming, or Graph.kind, source, target"


def test_names_that_are_taken_apart_by_hand_are_found(tmp_path):
    lines = [
        'f"encode_{name}"',
        'f"{source}_to_{target}"',
        'f"{graph}.raw"',
        'name.partition(".")',
        'name.removeprefix(f"{graph}.")',
        'name.startswith("encode_")',
        'name.endswith(f".{leaf}")',
    ]
    path = tmp_path / "by_hand.py"
    for line in lines:
        path.write_text(line)
        assert list(taken_apart(path)), line
    path.write_text('"""What ``encode_`` is."""\nprint(f"a graph {name!r}.{guess}", "encode_picture", text.split("/"))')
    assert not list(taken_apart(path))


def test_the_page_in_the_browser_takes_no_name_apart():
    by_hand = re.compile(r"(?:en|de)code_\b|reconstruct_|translate_|\.(?:raw|utf8|present)\b")
    for path in sorted((ROOT / "exporters/web/zoo_web/page").glob("*.js")):
        assert not by_hand.findall(path.read_text()), path
