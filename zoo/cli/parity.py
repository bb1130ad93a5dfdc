"""``zoo parity``."""

from pathlib import Path

import click

from zoo.cli.output import print_json, print_table


@click.command("parity")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--provider", default="cpu", show_default=True, help="The provider to judge it on: cpu, cuda, tensorrt.")
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
def command(bundle: Path, provider: str, as_json: bool) -> None:
    """Judge a bundle again by its own reference, without torch.

    Exits with 4 if a result lies outside the tolerance recorded at the export, or if a file was changed. On a GPU it
    also fails if anything except the arithmetic of shapes runs elsewhere.
    """
    from zoo.runtime.bundle import open_bundle
    from zoo.verbs.judge import judge

    found = judge(open_bundle(bundle, provider=provider))
    if as_json:
        print_json(
            [
                {"graph": name, "cases": one.cases, "used": one.worst.used, "max_abs_error": one.worst.max_abs_error}
                for name, one in found.items()
            ]
        )
    else:
        print_table(found.header, found.rows())
