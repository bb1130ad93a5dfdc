"""What every plugin must pass, whatever it registers."""

from __future__ import annotations

import subprocess
import sys

import pytest

from zoo.catalogue.registry import layers, read_registry
from zoo.discovery.components import options_of
from zoo.discovery.plugins import Plugin, Plugins, installed
from zoo.files.packages import path_in_package
from zoo.testing.contract import Contract


class PluginContract(Contract):
    """Fixture to give: ``plugin``, as discovery returns it."""

    subject = "plugin"

    @pytest.fixture
    def plugin(self) -> Plugin:
        """Return the plugin."""
        raise NotImplementedError("give a fixture 'plugin' in the subclass")

    def test_its_entry_point_imports_nothing_but_the_zoo(self, plugin: Plugin) -> None:
        """A listing imports every entry point, so each must be light."""
        code = f"import sys, zoo; before = set(sys.modules); import {plugin.module}; print(*set(sys.modules) - before)"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        light = {plugin.module.split(".")[0], "zoo", "pluggy", *sys.stdlib_module_names}
        assert not {name.split(".")[0] for name in done.stdout.split()} - light

    def test_its_translations_are_functions(self, plugin: Plugin) -> None:
        """Each can be imported and called."""
        for component in plugin.components:
            if component.kind == "translation":
                assert callable(installed().load("translation", component.name)), component.name

    def test_defaults_are_what_their_options_take(self, plugin: Plugin) -> None:
        """Each option declares bounds that make sense, and its default has the declared type and range."""
        for component in plugin.components:
            if component.kind == "translation":
                continue
            alone = Plugins((plugin,))
            with alone.blaming(component.kind, component.name):
                known = options_of(alone.load(component.kind, component.name), component.kind)
            for option in known.values():
                if not option.required:
                    option.checked(option.default, f"{component.kind} {component.name}: the default of {option.name!r}")

    def test_its_registries_can_be_read(self, plugin: Plugin) -> None:
        """Each file exists and holds entries whose names no other package has."""
        for file in plugin.registries:
            assert read_registry(path_in_package(file)), file
        own = f"{plugin.distribution} {plugin.version}"
        assert not [str(layer.fault) for layer in layers(installed()) if layer.owner == own and layer.fault]
