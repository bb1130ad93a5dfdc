"""``zoo doctor``."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version

import click

from zoo import __version__
from zoo.cli.output import note, print_table
from zoo.errors import ZooError
from zoo.home import home
from zoo.plugins import installed
from zoo.registry import layers, named, read_registry

TESTED_TORCH = "2.13"
_PARTS = (
    "torch",
    "accelerate",
    "onnx",
    "onnxscript",
    "onnxruntime",
    "onnxruntime-gpu",
    "numpy",
    "safetensors",
    "pluggy",
)


@click.command("doctor")
def command() -> None:
    """Tell what is installed, what can run here and what clashes. Exits with 1 where something must be mended."""
    versions = {name: _version(name) for name in _PARTS}
    rows = [("modalzoo", __version__, ""), ("python", platform.python_version(), "")]
    rows += [(name, found or "not installed", _remark(name, found)) for name, found in versions.items()]
    rows += [("files", str(home()), "")]
    troubles = _troubles(versions)
    for plugin in installed().plugins:
        rows.append(
            (plugin.distribution, plugin.version, "out" if plugin.fault else f"{len(plugin.components)} components")
        )
    print_table(("WHAT", "VERSION", "REMARK"), rows)
    if troubles:
        raise ZooError("; ".join(troubles))
    note("everything that is installed fits together")


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def _remark(name: str, found: str | None) -> str:
    if name == "torch" and found:
        return "what is tested" if found.startswith(TESTED_TORCH) else f"{TESTED_TORCH} is what is tested"
    if name.startswith("onnxruntime") and found:
        return _providers()
    return ""


def _providers() -> str:
    try:
        import onnxruntime
    except ImportError as error:
        return f"cannot be imported: {error}"
    return "offers " + ", ".join(
        name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()
    )


def _troubles(versions: dict[str, str | None]) -> list[str]:
    troubles = []
    if versions["onnxruntime"] and versions["onnxruntime-gpu"]:
        troubles.append(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: "
            "pip uninstall onnxruntime onnxruntime-gpu, then install the one you want"
        )
    for plugin in installed().faults:
        troubles.append(f"{plugin.distribution} {plugin.version}: {plugin.fault}")
    troubles += [
        f"{layer.owner}: its registry is left out: {layer.fault}" for layer in layers(installed()) if layer.fault
    ]
    for path in named():
        try:
            read_registry(path)
        except ZooError as error:
            troubles.append(str(error))
    return troubles
