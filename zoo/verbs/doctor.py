"""Reports what is installed, what can run here and what conflicts."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from zoo.catalogue.registry import layers, named, read_registry
from zoo.discovery.plugins import Plugin, Plugins, discovered, let_in, unknown_in_setting
from zoo.discovery.separate_process import Behaviour, behaviours
from zoo.errors import DiskError, UsageError, ZooError
from zoo.files.home import home
from zoo.hookspecs import __version__
from zoo.recipes.arguments import checked
from zoo.verbs.texts import plain, table

HEADER = ("WHAT", "VERSION", "REMARK")
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


@dataclass(frozen=True, repr=False)
class Diagnosis:
    """The installed parts, one row of texts each below ``HEADER``, the troubles that must be repaired, and hints.

    Shown as ``zoo doctor`` prints it, with a line per trouble and hint below.
    """

    rows: tuple[tuple[str, str, str], ...]
    troubles: tuple[str, ...]
    hints: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join([*table(HEADER, self.rows), *map(plain, (*self.hints, *self.troubles))])


@checked
def doctor(*, limit_s: float = 30.0) -> Diagnosis:
    """Examine the installation; an import of plugins that takes longer than ``limit_s`` counts as never ending.

    Plugins are first imported in separate processes, since one may end or block the process that imports it.
    """
    if not limit_s > 0:
        raise UsageError(f"`limit_s` takes a number of seconds above 0, got {limit_s}")
    versions = {name: _version(name) for name in _PARTS}
    rows = [("modalzoo", __version__, ""), ("python", platform.python_version(), "")]
    rows += [(name, found or "not installed", _remark(name, found)) for name, found in versions.items()]
    rows += [("files", *_files())]
    found_versions = {point.distribution: point.version for point in let_in()}
    behaved = behaviours(found_versions, limit_s)
    unfit = {name: behaviour for name, behaviour in behaved.items() if behaviour.fault}
    plugins = discovered(leaving_out=unfit)
    rows += [(name, found_versions[name], "out") for name in unfit]
    rows += [(plugin.distribution, plugin.version, _registers(plugin, behaved)) for plugin in plugins.plugins]
    hints = [
        f"ZOO_PLUGINS names {', '.join(unknown)}, but no installed plugin has this name; correct it, or remove it"
        for unknown in [unknown_in_setting()]
        if unknown
    ]
    troubles = [
        f"{name} {found_versions[name]} {behaviour.fault}; leave it out by ZOO_PLUGINS=-{name}, and tell its authors"
        for name, behaviour in unfit.items()
    ]
    return Diagnosis(tuple(rows), (*troubles, *_troubles(versions, plugins)), tuple(hints))


def _files() -> tuple[str, str]:
    """Return the path of the cache, and the troubles with it."""
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
        return "the tested version" if found.startswith(TESTED_TORCH) else f"the tested version is {TESTED_TORCH}"
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


def _troubles(versions: Mapping[str, str | None], plugins: Plugins) -> list[str]:
    troubles = []
    if versions["onnxruntime"] and versions["onnxruntime-gpu"]:
        troubles.append(
            "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: "
            "pip uninstall onnxruntime onnxruntime-gpu, then install the one you want"
        )
    for plugin in plugins.faults:
        troubles.append(f"{plugin.distribution} {plugin.version}: {plugin.fault}")
    troubles += [f"{layer.owner}: its registry is left out: {layer.fault}" for layer in layers(plugins) if layer.fault]
    return troubles + _registry_troubles()


def _registry_troubles() -> list[str]:
    """Return what is wrong with the files that ``ZOO_REGISTRY`` names."""
    troubles = []
    try:
        paths = named()
    except UsageError as error:
        return [str(error)]
    for path in paths:
        try:
            read_registry(path)
        except ZooError as error:
            troubles.append(str(error))
    return troubles
