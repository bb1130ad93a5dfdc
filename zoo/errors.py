"""Every error that a user can meet, as one tree.

    ZooError                    1   something failed; the message says what was expected, what came, what to do
    ├── UsageError              2   the call, a recipe or a spec asks for what cannot be
    │   └── SpecError           2   a recipe or spec holds a wrong key, value or option
    ├── NotFoundError           3   a name or a file that is not there
    │   └── UnknownNameError    3   a name that nothing registered, with the nearest one that is
    ├── IntegrityError          4   bytes, numbers or names differ from what was promised
    │   ├── ParityError         4   an exported graph does not compute what torch computes
    │   └── MetricError         4   a measured metric lies outside its recorded tolerance
    ├── OfflineError            5   the network is needed and cannot be reached or may not be used
    ├── DiskError               6   the disk is full or may not be written
    ├── PluginError             1   a plugin's component cannot be used; names its distribution
    ├── DataError               1   a sample cannot be read; names the sample
    └── TrainingError           1   training cannot go on; names the term and the step

The numbers are the exit codes of the command ``zoo``. Interruption exits with 130, termination with 143.
"""

from collections.abc import Iterable

from zoo.redacting import without_secrets


class ZooError(Exception):
    """The root of the tree: one paragraph for a person, and the exit code of the command."""

    exit_code = 1

    def __init__(self, message: object = "") -> None:
        """Keep the message without the passwords and tokens of addresses in it."""
        super().__init__(without_secrets(str(message)))


class UsageError(ZooError):
    """The call asks for something that cannot be."""

    exit_code = 2


class SpecError(UsageError):
    """A recipe or spec holds a wrong key, value or option."""


class NotFoundError(ZooError):
    """A file or folder that was named is not there."""

    exit_code = 3


class UnknownNameError(NotFoundError):
    """A name that nothing registered."""

    def __init__(self, kind: str, name: str, known: Iterable[str], *, hint: str) -> None:
        """Say what is known and which known name is nearest; ``hint`` says where to look further."""
        import difflib

        names = sorted(known)
        nearest = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
        listed = ", ".join(names[:12]) + (f" and {len(names) - 12} more" if len(names) > 12 else "")
        guess = f" Did you mean {nearest[0]!r}?" if nearest else ""
        super().__init__(f"no {kind} {name!r}; there is {listed or 'none'}.{guess} {hint}")
        self.name = name
        self.nearest = nearest[0] if nearest else None


class IntegrityError(ZooError):
    """Bytes differ from what their manifest, registry entry or checkpoint promised."""

    exit_code = 4


class ParityError(IntegrityError):
    """An exported graph does not compute what torch computes."""


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
    """Training cannot go on."""
