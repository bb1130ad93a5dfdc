"""Writes the page of all commands: the output of ``--help``, command by command.

``python -m zoo.cli.reference docs/commands.md``
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from zoo.cli import group
from zoo.files.store import staged_file

WIDTH = 100
_INTRODUCTION = """\
# Commands

What `zoo COMMAND --help` prints. Results go to stdout, everything else to stderr; `--json`, if a command has it, prints
one JSON document. The [exit codes](../README.md#deploy) are the same for all commands, and so are the
[settings by environment variables](../README.md#settings). Each command has its
[function in Python](python.md#the-commands-and-their-functions).

This page is written by `python -m zoo.cli.reference docs/commands.md`.
"""
_NEXT = "Next: [From Python](python.md), the same by functions; [Components](components.md), what `-o` can set."


def reference() -> str:
    """Return the page as Markdown: a section per command, in the order of a first use."""
    return "\n".join([_INTRODUCTION, *_section("zoo", group, None), _NEXT, ""])


def _section(name: str, command: click.Command, parent: click.Context | None) -> Iterator[str]:
    context = click.Context(command, parent, info_name=name, terminal_width=WIDTH, **command.context_settings)
    yield f"## `{context.command_path}`\n"
    yield f"```text\n{command.get_help(context)}\n```\n"
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            found = command.get_command(context, inner)
            if found is not None:
                yield from _section(inner, found, context)


@click.command("reference")
@click.argument("page", type=click.Path(path_type=Path))
def command(page: Path) -> None:
    """Write the page of all commands to PAGE."""
    with staged_file(page) as staging:
        staging.write_text(reference(), encoding="utf-8")


if __name__ == "__main__":
    command()
