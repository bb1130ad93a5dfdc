"""The command ``zoo``. One file per command, imported when it is called; ``--help`` imports none of them."""

from __future__ import annotations

import copy
import importlib
import keyword
import sys
import warnings
from typing import Any

import click

from zoo.cli.output import note
from zoo.errors import ZooError, did_you_mean
from zoo.hookspecs import __version__
from zoo.reading.collecting import keep_what_is_there, uncollected

# The help lines are kept here, so that `zoo --help` imports no command. A test compares them with the commands.
COMMANDS = {
    "quickstart": "Show the whole workflow in two minutes, on real data, with a page of pictures at the end.",
    "list": "List the entries of the registry.",
    "info": "Show the card of an entry, or its recipe to start your own from.",
    "fetch": "Fetch the weights of entries, check them and print their paths.",
    "data": "Describe the content of a data set, and draw some of its samples.",
    "train": "Train an entry's recipe or your own.",
    "import": "Read a pretrained model, such as of transformers, and write it as a run.",
    "evaluate": "Measure a model on held-out data.",
    "export": "Export a model as a bundle, judged against torch.",
    "parity": "Judge a bundle again by its own reference, without torch.",
    "run": "Run a graph of a bundle on values, without torch.",
    "embed": "Embed the rows of a file, or the files of a folder, one vector each.",
    "search": "Find the rows whose vectors are nearest to a value's, among those that `zoo embed` wrote.",
    "plugins": "List the components of the installed plugins, and the plugins that fail.",
    "plugin": "Write your own plugin, and check it against its contracts.",
    "doctor": "Report what is installed, what can run here and what conflicts.",
}


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the commands in the order of a first use."""
        return [*COMMANDS]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; return None if there is no such command."""
        if cmd_name not in COMMANDS:
            return None
        with uncollected():
            command = importlib.import_module(f"zoo.cli.{module_of(cmd_name)}").command
        keep_what_is_there()
        return _with_data_apart(command)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without importing any."""
        keep_what_is_there()
        with formatter.section("Commands"):
            formatter.write_dl([*COMMANDS.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; if there is none, name the nearest."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"no command {args[0]!r}.{did_you_mean(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)


def module_of(name: str) -> str:
    """Return the name of the module of a command; Python's own words, such as ``import``, get a line after them."""
    return f"{name}_" if keyword.iskeyword(name) else name


def _with_data_apart(command: click.Command) -> click.Command:
    """Wrap the command so that its stdout holds only its data; help is printed before that.

    Messages name the options of this command as they are typed.
    """
    from zoo.cli.streams import data_apart
    from zoo.cli.typed import remember

    kept_apart = copy.copy(command)
    if isinstance(kept_apart, click.Group):
        kept_apart.commands = {name: _with_data_apart(part) for name, part in kept_apart.commands.items()}
    elif kept_apart.callback is not None:
        run = data_apart()(kept_apart.callback)

        def told_as_typed(**given: Any) -> Any:
            remember(command)
            return run(**given)

        kept_apart.callback = told_as_typed
    return kept_apart


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(__version__, prog_name="zoo")
def group() -> None:
    """A plugin-based zoo of multimodal models: list, fetch, train, evaluate, export, run."""


def main() -> None:
    """Run the command and leave with its exit code; an error is one paragraph on stderr, never a traceback."""
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # warnings of libraries are for programmers, not for users of a command
    try:
        from zoo.cli.first_log import plain_from_the_first
        from zoo.cli.streams import end_of_data
        from zoo.cli.typed import remember
        from zoo.discovery.isolation import signals_first

        remember(None)
        plain_from_the_first()
        with signals_first():
            group(prog_name="zoo", standalone_mode=False)
        end_of_data()
    except ZooError as error:
        _leave(str(error), error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        sys.exit(error.exit_code)
    except click.ClickException as error:
        context = getattr(error, "ctx", None)
        hint = f" See `{context.command_path} --help`." if context else ""
        _leave(f"{error.format_message()}{hint}", error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        note("interrupted")
        sys.exit(130)
    except ModuleNotFoundError as error:
        from zoo.discovery.extras import missing_extra

        missing = missing_extra(error)
        if missing is None:
            raise
        _leave(str(missing), missing.exit_code)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(1)
    except MemoryError as error:
        _leave(f"more memory is needed than available ({error}); use smaller sizes, or fewer rows at a time", 1)
    except OSError as error:
        _leave(f"{error.strerror or error}: {error.filename or 'no file named'}; check that path", ZooError.exit_code)


def _leave(message: str, exit_code: int) -> None:
    note(f"error: {message}")
    sys.exit(exit_code)
