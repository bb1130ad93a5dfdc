"""``zoo info``."""

import click

from zoo.cli.output import print_json, size
from zoo.plugins import installed
from zoo.registry import RegistryEntry, find, missing_plugins


@click.command("info")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="Print the entry as one object.")
@click.option("--recipe", is_flag=True, help="Print the recipe alone, as TOML for `zoo train`.")
def command(name: str, as_json: bool, recipe: bool) -> None:
    """Show the card of an entry, or its recipe to start one's own from."""
    plugins = installed()
    entry = find(name, plugins)
    if recipe:
        click.echo(entry.recipe.toml(), nl=False)
    elif as_json:
        print_json(described(entry))
    else:
        click.echo(card(entry, missing_plugins(entry, plugins)), nl=False)


def described(entry: RegistryEntry) -> dict[str, object]:
    """Return all that the registry says of an entry."""
    return {
        **entry.listed(),
        "data_license": entry.data_license,
        "revision": entry.revision,
        "sources": list(entry.sources),
        "plugins": list(entry.plugins),
        "metrics": {name: {"value": m.value, "tolerance": m.tolerance} for name, m in entry.metrics.items()},
        "metrics_command": entry.metrics_command,
        "recipe": entry.recipe.written(),
    }


def card(entry: RegistryEntry, missing: list[str]) -> str:
    """Return the page of an entry for a terminal."""
    spec = entry.recipe.spec
    lines = [f"{entry.name}: {entry.summary}", ""]
    lines += [f"  objective    {spec.objective.name}, latent of {spec.latent_dim}"]
    for part in spec.inputs:
        decoder = f", decoder {part.decoder.name}" if part.decoder else ""
        encoder = part.encoder.name if part.encoder else "none"
        lines.append(f"  input        {part.name}: {part.modality.name}, encoder {encoder}{decoder}")
    lines += [
        f"  weights      {entry.parameters:,} parameters, {size(entry.size_bytes)}, sha256 {entry.sha256}",
        f"  licence      weights {entry.license}; data {entry.data_license}",
        f"  data         {entry.recipe.data.name}, split {entry.recipe.evaluation.split!r} held out",
        f"  needs        {', '.join(entry.plugins)}" + (f"  (missing: {', '.join(missing)})" if missing else ""),
        "",
        f"  measured by `{entry.metrics_command}`:",
    ]
    width = max((len(name) for name in entry.metrics), default=0)
    lines += [f"    {name.ljust(width)}  {m.value:.4g}  (± {m.tolerance:.2g})" for name, m in entry.metrics.items()]
    lines += [
        "",
        "  run it:",
        f"    zoo export {entry.name} --to onnx --out bundles/{entry.name}",
        f"    zoo parity bundles/{entry.name}",
        f"    zoo train  {entry.name}    # the same recipe again; `zoo info {entry.name} --recipe` prints it",
        "",
    ]
    return "\n".join(lines)
