"""``zoo doctor``."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version

import click

from zoo.catalogue.registry import layers, named, read_registry
from zoo.cli.output import note, print_table
from zoo.discovery.apart import Behaviour, behaviours
from zoo.discovery.plugins import Plugin, Plugins, discovered, let_in, unknown_in_setting
from zoo.errors import DiskError, ZooError
from zoo.files.home import home
from zoo.hookspecs import __version__

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
@click.option(
    "--limit", default=30.0, show_default=True, help="Seconds after which the import of plugins counts as endless."
)
def command(limit: float) -> None:
    """Tell what is installed, what can run here and what clashes. Exits with 1 where something must be mended."""
    versions = {name: _version(name) for name in _PARTS}
    rows = [("modalzoo", __version__, ""), ("python", platform.python_version(), "")]
    rows += [(name, found or "not installed", _remark(name, found)) for name, found in versions.items()]
    rows += [("files", *_files())]
    # First in processes of their own: a plugin may end or hold the process that imports it.
    found_versions = {point.distribution: point.version for point in let_in()}
    behaved = behaviours(found_versions, limit)
    unfit = {name: behaviour for name, behaviour in behaved.items() if behaviour.fault}
    plugins = discovered(leaving_out=unfit)
    rows += [(name, found_versions[name], "out") for name in unfit]
    rows += [(plugin.distribution, plugin.version, _registers(plugin, behaved)) for plugin in plugins.plugins]
    print_table(("WHAT", "VERSION", "REMARK"), rows)
    if unknown := unknown_in_setting():
        note(
            f"ZOO_PLUGINS names {', '.join(unknown)}, of which no plugin is installed; correct the name, or take it out"
        )
    troubles = [
        f"{name} {found_versions[name]} {behaviour.fault}; leave it out by ZOO_PLUGINS=-{name}, and tell its authors"
        for name, behaviour in unfit.items()
    ]
    troubles += _troubles(versions, plugins)
    if troubles:
        raise ZooError("; ".join(troubles))
    note("everything that is installed fits together")


def _files() -> tuple[str, str]:
    """Return where the cache lies, and what is wrong with that."""
    try:
        return str(home()), ""
    except DiskError as error:
        return "unknown", str(error)


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


def _registers(plugin: Plugin, behaved: Mapping[str, Behaviour]) -> str:
    prints = "; writes to stdout while it is imported" if behaved[plugin.distribution].prints else ""
    return f"{'out' if plugin.fault else f'components: {len(plugin.components)}'}{prints}"


def _troubles(versions: dict[str, str | None], plugins: Plugins) -> list[str]:
    troubles = []
    if versions["onnxruntime"] and versions["onnxruntime-gpu"]:
        troubles.append(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: "
            "pip uninstall onnxruntime onnxruntime-gpu, then install the one you want"
        )
    for plugin in plugins.faults:
        troubles.append(f"{plugin.distribution} {plugin.version}: {plugin.fault}")
    troubles += [f"{layer.owner}: its registry is left out: {layer.fault}" for layer in layers(plugins) if layer.fault]
    for path in named():
        try:
            read_registry(path)
        except ZooError as error:
            troubles.append(str(error))
    return troubles
