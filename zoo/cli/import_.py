"""``zoo import``."""

from pathlib import Path

import click

from zoo.cli.output import note, print_exactly
from zoo.verbs.importing import import_model


@click.command("import")
@click.argument("source", metavar="FOLDER|hf:OWNER/REPOSITORY@REVISION")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The run's folder, which is new.")
@click.option("-o", "options", multiple=True, metavar="KEY=VALUE", help="Set a key of the recipe: spec.latent_dim=128.")
def command(source: str, out: Path, options: tuple[str, ...]) -> None:
    """Read a pretrained model, such as of transformers, and write it as a run.

    The path of the checkpoint is printed. Every command that takes a run takes it: export, evaluate, train. Only
    safetensors files are read, and nothing in the folder is executed.
    """
    run = import_model(source, out, options=options)
    for sentence in run.notes:
        note(sentence)
    print_exactly(run.weights)
    note(f"imported {run.summary}; the recipe is {run.folder / 'recipe.toml'}")
