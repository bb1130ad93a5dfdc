"""Fetching one file whose size and sha256 are known: decide, own a partial, download, verify, rename.

A cached file is stored under its hash, so a name never leads to other bytes. It is read completely and compared each
time it is requested. A download goes into a partial whose name holds the hash and the owning process. If the owner is
gone, the next run sees this, takes the partial over in one rename and continues it. A lock avoids duplicate downloads;
nothing else depends on it.
"""

import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, unquote, urljoin

from zoo.errors import DiskError, IntegrityError, NotFoundError, OfflineError, UsageError, ZooError, safe_address
from zoo.files.addresses import may_be_asked
from zoo.files.deadlines import PATIENCE, Patience
from zoo.files.downloading import Arrived, Partial, download
from zoo.files.home import home, lock_file, make_folder
from zoo.files.owners import MARK, is_abandoned, owner_mark, untouched_s
from zoo.files.packages import path_in_package, path_inside
from zoo.files.store import Digest, digest, disk_errors, flush
from zoo.reading.lists import listed

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_HUB = re.compile(r"(\w[\w.-]*/\w[\w.-]*)@(\w[\w.-]*)/(.+)", re.ASCII)
_LOCAL = re.compile(r"(?://(?:localhost)?)?(/[^\0]+)")
_OWNED = re.compile(rf"([0-9a-f]{{64}})\.({MARK})", re.ASCII)
_FORGOTTEN_S = 7 * 24 * 3600
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """A file that the registry promises, and its possible sources, best first."""

    name: str
    size_bytes: int
    sha256: str
    sources: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse an impossible name, size or hash before it becomes part of a path."""
        if not _NAME.fullmatch(self.name):
            raise UsageError(
                f"expected a file name of letters, digits, '.', '_' and '-', came {self.name!r}; correct the entry"
            )
        listed(self.sources, f"{self.name}: sources")
        if self.size_bytes < 0 or not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise UsageError(
                f"{self.name}: expected a size in bytes and a sha256 of 64 small hexadecimal digits, "
                f"came {self.size_bytes!r} and {self.sha256!r}; correct the entry"
            )

    @property
    def digest(self) -> Digest:
        """The size and sha256 that the bytes must have."""
        return Digest(self.size_bytes, self.sha256)


@dataclass(frozen=True)
class Decision:
    """The state of a wanted file in the cache, and the file's path."""

    state: Literal["present", "corrupt", "unreadable", "blocked", "absent"]
    path: Path


def decide(wanted: Wanted, cache: Path) -> Decision:
    """Check whether the cache holds the wanted bytes; they are hashed completely each time.

    A folder at the path of the file blocks it.
    """
    path = cache / "files" / wanted.sha256[:2] / wanted.sha256 / wanted.name
    try:
        if path.is_dir():
            return Decision("blocked", path)
        if not path.is_file():
            return Decision("absent", path)
        return Decision("present" if digest(path) == wanted.digest else "corrupt", path)
    except OSError:
        return Decision("unreadable", path)


def fetch(
    wanted: Wanted, *, base: Path | str | None = None, progress: Arrived | None = None, patience: Patience = PATIENCE
) -> Path:
    """Return the path of the wanted file, verified; the sources are tried in order.

    Relative sources lie beside the registry file: ``base`` is its folder, or its address. Files of packages and local
    files are verified and used in place; others are copied into the cache.

    Raises IntegrityError, DiskError, NotFoundError, OfflineError or UsageError: the most informative of the failures.
    The message names every source and why it failed.
    """
    failures: list[tuple[str, ZooError]] = []
    cache: Path | None = None
    try:
        cache = home()
        decision = decide(wanted, cache)
    except DiskError as error:  # a file of a package, or one beside the registry, does not need the cache
        decision = Decision("absent", Path(wanted.name))
        failures.append(("the cache", error))
    if cache is not None and decision.state == "present":
        sweep(cache / "partial", wanted.sha256)
        return decision.path
    if cached := {"corrupt": "does not hold them", "unreadable": "cannot be read"}.get(decision.state):
        failures.append((f"the cached {decision.path}", ZooError(cached)))
    for source in wanted.sources:
        try:
            place = locate(source, base)
            if isinstance(place, Path):
                return _verified(place, wanted)
            if _network_is_forbidden():
                raise OfflineError("needs the network, which ZOO_OFFLINE forbids")
            if cache is None:
                raise DiskError("needs the cache")
            return _fetch_into(cache, wanted, place, progress, patience)
        except ZooError as error:
            failures.append((source, error))
    raise _verdict(wanted, failures, decision.path)


def locate(source: str, base: Path | str | None = None) -> Path | str:
    """Resolve a source to a local path or an address."""
    scheme, _, rest = source.partition(":") if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", source) else ("", "", source)
    remote = base if isinstance(base, str) and may_be_asked(base) else None
    match scheme.lower():
        case "https" | "http":
            place: Path | str = source
        case "hf" if matched := _HUB.fullmatch(rest):
            repository, revision, path = matched.groups()
            place = f"https://huggingface.co/{repository}/resolve/{revision}/{quote(str(path_inside(path)))}"
        case "package":
            place = path_in_package(rest)
        case "file" if remote is None and (matched := _LOCAL.fullmatch(rest)):
            place = Path(unquote(matched[1]))
        case "" if remote is not None:
            place = urljoin(remote, quote(str(path_inside(source))))
        case "" if base is not None:
            place = Path(base) / path_inside(source)
        case _:
            raise UsageError(
                "is not a source: expected https:, http: to this machine, file: in a local registry, "
                "package:NAME/PATH, hf:OWNER/REPOSITORY@REVISION/PATH or a path beside the registry"
            )
    if isinstance(place, str) and not may_be_asked(place):
        plain = place.lower().startswith("http:")
        raise UsageError(
            "is not a source: http is used only for this machine; expected https"
            if plain
            else "is not a source: expected an address of the form https://HOST[:PORT]/PATH"
        )
    return place


def sweep(folder: Path, sha256: str) -> None:
    """Remove the partials of this file whose owner process is gone, and old ones of any file."""
    with suppress(OSError):
        for left in _abandoned(folder):
            if left.name.startswith(sha256) or untouched_s(left) > _FORGOTTEN_S:
                # Renamed first, so that no other process takes it over during the removal.
                with _mine(folder, left.name.split(".")[0]) as mine:
                    if _take(left, mine):
                        shutil.rmtree(mine, ignore_errors=True)


def _verified(path: Path, wanted: Wanted) -> Path:
    with disk_errors(path):
        if not path.is_file():
            raise NotFoundError(f"leads to {path}, which does not exist")
        found = digest(path)
    if found != wanted.digest:
        raise IntegrityError(f"leads to {path}, which holds {found.size_bytes} bytes with sha256 {found.sha256}")
    return path


def _fetch_into(cache: Path, wanted: Wanted, url: str, progress: Arrived | None, patience: Patience) -> Path:
    folder = cache / "partial"
    with _one_at_a_time(cache, wanted.sha256, patience):
        decision = decide(wanted, cache)
        if decision.state == "blocked":
            raise DiskError(f"{decision.path} is a folder, expected a file; remove that folder")
        if decision.state != "present":
            with _partial(folder, wanted.sha256) as partial:
                download(url, wanted.digest, into=partial, patience=patience, progress=progress)
                with disk_errors(decision.path):
                    make_folder(decision.path.parent)
                    flush(partial.body)
                    flush(decision.path.parent)
                    os.replace(partial.body, decision.path)
                    flush(decision.path.parent)
    sweep(folder, wanted.sha256)
    return decision.path


@contextmanager
def _one_at_a_time(cache: Path, sha256: str, patience: Patience) -> Iterator[None]:
    """Wait while another process downloads the file; continue if it makes no progress, or if locks do not work."""
    patience_s = 2 * (patience.read_timeout_s + patience.longest_pause_s)
    with ExitStack() as held:
        try:
            from filelock import FileLock, Timeout

            lock = FileLock(lock_file(sha256))
            while True:
                with suppress(Timeout):
                    held.enter_context(lock.acquire(timeout=patience_s))
                    break
                if all(untouched_s(path) > patience_s for path in (cache / "partial").glob(f"{sha256}.*")):
                    break
        except (ImportError, NotImplementedError, OSError) as error:
            _log.info("continuing without a lock in %s: %s", cache, error)
        yield


@contextmanager
def _partial(folder: Path, sha256: str) -> Iterator[Partial]:
    """Own a partial of the file: the largest that a process left behind, or a new one. It is kept after a failure."""
    with _mine(folder, sha256) as mine:
        try:
            with disk_errors(folder):
                make_folder(folder)
                left = sorted(_abandoned(folder, sha256), key=_body_bytes, reverse=True)
                if not any(_take(path, mine) for path in left):
                    make_folder(mine)
                partial = Partial(mine)
            yield partial
        finally:
            if not _body_bytes(mine):
                shutil.rmtree(mine, ignore_errors=True)


@contextmanager
def _mine(folder: Path, sha256: str) -> Iterator[Path]:
    """Yield a new name that identifies this process as its owner."""
    with owner_mark() as mark:
        yield folder / f"{sha256}.{mark}"


def _take(left: Path, mine: Path) -> bool:
    """Take over an abandoned partial in one step; if several processes try, one succeeds."""
    try:
        os.rename(left, mine)
    except FileNotFoundError:
        return False
    return True


def _abandoned(folder: Path, sha256: str = "") -> Iterator[Path]:
    for path in folder.glob(f"{sha256}*"):
        owned = _OWNED.fullmatch(path.name)
        if owned is not None and is_abandoned(path, owned[2]):
            yield path


def _body_bytes(path: Path) -> int:
    with suppress(OSError):
        return (path / "body").stat().st_size
    return 0


def _network_is_forbidden() -> bool:
    return os.environ.get("ZOO_OFFLINE", "") not in ("", "0")


def _verdict(wanted: Wanted, failures: Sequence[tuple[str, ZooError]], path: Path) -> ZooError:
    """Make one error of all failures: the most informative kind, what was expected, what came, what to do."""
    advice: dict[type[ZooError], str] = {
        IntegrityError: "Do not use those bytes: update the registry, or tell its author that the file changed.",
        DiskError: "Then run the command again; ZOO_HOME may name another folder for the cache.",
        NotFoundError: "Update the registry, or install the package that the entry names.",
        OfflineError: "Run the command again when the network is back; it continues from the bytes that have arrived.",
        UsageError: "Correct the sources of the entry.",
    }
    if _network_is_forbidden():
        advice[OfflineError] = f"Unset ZOO_OFFLINE, or copy the file to {path} by other means."
        advice = {kind: advice[kind] for kind in (IntegrityError, DiskError, OfflineError, NotFoundError, UsageError)}
    reasons = [
        f"{safe_address(source)}{': ' if isinstance(reason, DiskError) else ' '}{reason}" for source, reason in failures
    ]
    came = "; ".join(reasons) or "it has no source"
    kinds = [type(error) for _, error in failures]
    telling = next((kind for kind in advice if kind in kinds), UsageError)
    return telling(
        f"{wanted.name}: expected {wanted.size_bytes} bytes with sha256 {wanted.sha256}, but {came}. {advice[telling]}"
    )
