"""``zoo plugins``."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from zoo.cli.output import note, print_json, print_table
from zoo.discovery.plugins import KINDS, Plugins, installed
from zoo.errors import UnknownNameError

if TYPE_CHECKING:
    from zoo.discovery.registered import Component


@click.command("plugins")
@click.argument("name", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
def command(name: str | None, as_json: bool) -> None:
    """List what the installed plugins register, and which of them fail.

    With NAME, tell the options of the components of this name, or of this distribution: what each takes, and its
    default.
    """
    found = installed()
    if name is not None:
        _tell_options(found, _named(found, name), as_json=as_json)
        return
    if as_json:
        print_json([asdict(plugin) for plugin in found.plugins])
        return
    rows = [
        (kind, component.name, plugin.distribution, plugin.version)
        for kind in KINDS
        for plugin in found.plugins
        for component in plugin.components
        if component.kind == kind
    ]
    print_table(("KIND", "NAME", "DISTRIBUTION", "VERSION"), rows)
    for plugin in found.faults:
        note(f"{plugin.distribution} {plugin.version} is out: {plugin.fault}")


def _named(found: Plugins, name: str) -> list[Component]:
    """Return the components of a distribution, or those whose name is ``name``, whatever their modality."""
    distributions = {plugin.distribution for plugin in found.plugins}
    names = {one: (one.name, one.name.rpartition("/")[2]) for one in found.table.values()}
    if name in distributions:
        components = [component for plugin in found.of(name) for component in plugin.components]
    elif not (components := [one for one, known in names.items() if name in known]):
        known = distributions.union(*names.values())
        raise UnknownNameError("component or distribution", name, known, hint="`zoo plugins` lists what is installed.")
    return sorted(components, key=lambda one: (KINDS.index(one.kind), one.name))


def _tell_options(found: Plugins, components: list[Component], *, as_json: bool) -> None:
    from zoo.discovery.components import settable_options

    told = [(one, settable_options(found, one.kind, one.name)) for one in components]
    if as_json:
        print_json(
            [
                {
                    "kind": one.kind,
                    "name": one.name,
                    "distribution": one.distribution,
                    "options": [option.written() for option in options.values()],
                }
                for one, options in told
            ]
        )
        return
    rows = [
        (one.kind, one.name, *cells)
        for one, options in told
        for cells in [(option.name, option.takes, option.default_told) for option in options.values()]
        or [("", "no options", "")]
    ]
    print_table(("KIND", "NAME", "OPTION", "TAKES", "DEFAULT"), rows)
