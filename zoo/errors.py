"""Every error that a user can meet, as one tree.

    ZooError                    1   something failed; the message says what was expected, what came, what to do
    ├── UsageError              2   the call, a recipe or a spec asks for something impossible
    │   └── SpecError           2   a recipe or spec holds a wrong key, value or option
    ├── NotFoundError           3   a name or a file does not exist
    │   ├── UnknownNameError    3   nothing is registered under the name; names the nearest one
    │   └── MissingExtraError   3   an optional package is not installed; says how to install it
    ├── IntegrityError          4   bytes, numbers or names differ from what was promised
    │   ├── ParityError         4   an exported graph does not compute the same as torch
    │   └── MetricError         4   a measured metric lies outside its recorded tolerance
    ├── OfflineError            5   the network is needed and cannot be reached or may not be used
    ├── DiskError               6   the disk is full or may not be written
    ├── PluginError             1   a plugin's component cannot be used; names its distribution
    ├── DataError               1   a sample cannot be read; names the sample
    └── TrainingError           1   training cannot continue; names the term and the step

The numbers are the exit codes of the command ``zoo``. Interruption exits with 130, termination with 143. No message
contains the password or token of an address: ``safe_address`` and ``without_secrets`` hide them.
"""

import re
from collections.abc import Iterable, Sequence

_WITH_HOST = re.compile(r"(?:https?|ftp|socks\w*):/*|.*//", re.IGNORECASE)
_START = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?/*")
_ADDRESS = re.compile(
    r"(?:\b[A-Za-z][A-Za-z0-9+.-]*:|(?<![^\s'\"(]))//[^\s'\"`<>]+|\bhttps?:[^\s'\"`<>]+", re.IGNORECASE
)
_POINTS = ".,;:)]"


class ZooError(Exception):
    """The root of the tree: one paragraph for a person, and the exit code of the command."""

    exit_code = 1

    def __init__(self, message: object = "") -> None:
        """Keep the message without the passwords and tokens of addresses in it."""
        super().__init__(without_secrets(str(message)))


class UsageError(ZooError):
    """The call asks for something impossible."""

    exit_code = 2


class SpecError(UsageError):
    """A recipe or spec holds a wrong key, value or option."""


class NotFoundError(ZooError):
    """A file or folder that was named does not exist."""

    exit_code = 3


class UnknownNameError(NotFoundError):
    """Nothing is registered under the name."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str) -> None:
        """List the known names and the nearest one; ``hint`` says where to look further."""
        names = sorted(known)
        listed = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        self.name = name
        self.nearest = _nearest(name, names)
        super().__init__(f"no {kind} {name!r}; available: {listed or 'none'}.{did_you_mean(name, names)} {hint}")


class MissingExtraError(NotFoundError, ImportError):
    """An optional package that is not installed."""

    def __init__(self, package: str, brings: Sequence[str], *, remark: str = "") -> None:
        """``brings`` holds what pip may be asked to install; any one of them is enough."""
        commands = " or ".join(f"`pip install {name}`" for name in brings)
        super().__init__(f"{package} is not installed{remark}; {commands} installs it")
        self.name = package


class IntegrityError(ZooError):
    """Bytes differ from what their manifest, registry entry or checkpoint promised."""

    exit_code = 4


class ParityError(IntegrityError):
    """An exported graph does not compute the same as torch."""


class MetricError(IntegrityError):
    """A measured metric lies outside the tolerance of the recorded one."""


class OfflineError(ZooError):
    """The network is needed and cannot be reached, or ``ZOO_OFFLINE`` forbids its use."""

    exit_code = 5


class DiskError(ZooError):
    """The disk is full, or the folder may not be written."""

    exit_code = 6


class PluginError(ZooError):
    """A registered component cannot be imported or is not what it claims to be."""


class DataError(ZooError):
    """A sample cannot be read."""


class TrainingError(ZooError):
    """Training cannot continue."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a sentence that offers the known name nearest to ``name``, after a space; empty if none is like it.

    Examples:
        >>> did_you_mean("captoin", ["caption", "picture"])
        " Did you mean 'caption'?"
    """
    nearest = _nearest(name, known)
    return f" Did you mean {nearest!r}?" if nearest else ""


def safe_address(address: str) -> str:
    """Return an address, or a source of another form, without its passwords and tokens.

    Examples:
        >>> safe_address("https://ada:lovelace@example.org/w.bin?token=3f2a&part=1")
        'https://…@example.org/w.bin?token=…&part=…'
    """
    found = _START.match(address)
    start = found[0] if found else ""
    rest = address[len(start) :]
    if start.lower().startswith("file:"):
        return address
    if _WITH_HOST.fullmatch(start):
        host = re.split(r"[/?#]", rest, maxsplit=1)[0]
        if "@" in host:
            rest = f"…@{host.rpartition('@')[2]}{rest[len(host) :]}"
        elif ":" in host and "@" in rest:  # a password with a slash in it, else a port and a path with an @
            rest = f"…@{rest.rpartition('@')[2]}"
    whole, hash_, _ = rest.partition("#")
    path, mark, query = whole.partition("?")
    values = (pair.partition("=") for pair in query.split("&"))
    shown = "&".join(f"{key}=…" if equals else "…" for key, equals, _ in values) if mark else ""
    return f"{start}{path}{mark}{shown}{'#…' if hash_ else ''}"


def without_secrets(text: str) -> str:
    """Return a text in which every address is replaced by its ``safe_address``."""
    return _ADDRESS.sub(lambda found: _ended(found[0]), text) if "//" in text or "http" in text.lower() else text


def _ended(address: str) -> str:
    inner = address.rstrip(_POINTS)
    return safe_address(inner) + address[len(inner) :]


def _nearest(name: str, known: Iterable[str]) -> str | None:
    import difflib

    return next(iter(difflib.get_close_matches(str(name), [*known], n=1, cutoff=0.5)), None)
