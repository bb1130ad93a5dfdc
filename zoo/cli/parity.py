"""``zoo parity``."""

from pathlib import Path

import click

from zoo.cli.output import print_json, print_table


@click.command("parity")
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--provider", default="cpu", show_default=True, help="The one that is to serve it: cpu, cuda, tensorrt.")
@click.option("--json", "as_json", is_flag=True, help="Print an array of objects.")
def command(bundle: Path, provider: str, as_json: bool) -> None:
    """Judge a bundle again by its own reference, without torch.

    Exits with 4 where an answer lies outside the tolerance recorded at the export, or a file was changed. On a GPU it
    also fails where anything but the arithmetic of shapes runs elsewhere.
    """
    from zoo.runtime.bundle import open_bundle
    from zoo.runtime.replay import replay

    opened = open_bundle(bundle, provider=provider)
    if provider != "cpu":
        from zoo.runtime.placement import placement

        for graph in opened.graphs:
            with opened.contents.placed(opened.chosen(graph).file) as (path, _):
                placement(path, provider=provider).require()
    report = replay(opened)
    exported = {
        Path(one.file).stem: one.parity for graph in opened.manifest.graphs.values() for one in graph.files.values()
    }
    if as_json:
        print_json(
            [
                {"graph": name, "cases": cases, "used": worst.used, "max_abs_error": worst.max_abs_error}
                for name, (cases, worst) in report.items()
            ]
        )
        return
    print_table(
        ("GRAPH", "CASES NOW", "USED NOW", "MAX ERROR", "CASES AT EXPORT", "USED AT EXPORT"),
        [
            (
                name,
                cases,
                f"{worst.used:.1%}",
                f"{worst.max_abs_error:.1e}",
                exported[name].cases,
                f"{exported[name].used:.1%}",
            )
            for name, (cases, worst) in report.items()
        ],
    )
