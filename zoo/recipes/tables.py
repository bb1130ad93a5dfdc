"""Strict reading of TOML and JSON tables: a wrong key or type is an error that says where, and what is expected."""

import re
import reprlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import tomli

from zoo.errors import DataError, IntegrityError, NotFoundError, SpecError, UsageError, did_you_mean
from zoo.reading.collecting import uncollected

T = TypeVar("T")

SCHEMA = 1
SLUG = re.compile(r"[a-z0-9](?:[a-z0-9._-]{0,62}[a-z0-9])?")
_LARGEST_BYTES = 16 << 20
_LARGEST_INT = 1 << 63
_DEEPEST = 64
_LONE = re.compile("[\ud800-\udfff]")
_ENDLESS = re.compile(r"\d[\d_]{999,}")
_SHORT = reprlib.Repr()
_SHORT.maxstring = _SHORT.maxother = _SHORT.maxlong = 200
_SHORT.maxdict = _SHORT.maxlist = 12
_LARGEST_FLOAT = 2**1023  # a larger whole number may not fit into a float
_PLURALS = {
    int: "a whole number",
    float: "a number",
    str: "a text",
    bool: "true or false",
    list: "a list",
    dict: "a table",
}


class Table:
    """One table while it is read: each key is taken once, and any key that is left over is an error."""

    def __init__(self, values: Any, where: str) -> None:
        """``where`` names the table for messages, as in ``recipe.toml: [spec]``."""
        if not isinstance(values, Mapping):
            raise SpecError(f"{where}: expected a table, got {shown(values)}")
        self._left = dict(values)
        self._taken: list[str] = []
        self.where = where

    def take(self, key: str, kind: type[T], default: T | None = None) -> T:
        """Take the value of ``key``, which must be of ``kind``; without a default it must be there."""
        self._taken.append(key)
        if key not in self._left:
            if default is None:
                raise SpecError(f"{self.where}: the key {key!r} is missing; add it as {_PLURALS[kind]}")
            return default
        value = self._left.pop(key)
        if kind is float and type(value) is int and abs(value) <= _LARGEST_FLOAT:
            value = float(value)
        if kind is int and type(value) is int and not -_LARGEST_INT <= value < _LARGEST_INT:
            raise SpecError(f"{self.where}: {key!r} takes a whole number of at most 64 bits, got {shown(value)}")
        if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
            raise SpecError(f"{self.where}: {key!r} takes {_PLURALS[kind]}, got {shown(value)}")
        return value

    def table(self, key: str) -> "Table":
        """Take a sub-table, empty if it is missing."""
        return Table(self.take(key, dict, {}), f"{self.where}.{key}")

    def texts(self, key: str) -> tuple[str, ...]:
        """Take a list of texts, empty if it is missing."""
        values = self.take(key, list, [])
        if not all(isinstance(value, str) for value in values):
            raise SpecError(f"{self.where}: {key!r} takes a list of texts, got {shown(values)}")
        return tuple(values)

    def slug(self, key: str) -> str:
        """Take a name that may become part of a path."""
        return checked_slug(self.take(key, str), f"{self.where}.{key}")

    def anything(self, key: str) -> Any:
        """Take the value of ``key`` whatever it is, None if it is missing."""
        self._taken.append(key)
        return self._left.pop(key, None)

    def every(self, kind: type[T]) -> dict[str, T]:
        """Take all remaining values; each must be of ``kind``."""
        return {key: self.take(key, kind) for key in tuple(self._left)}

    def items(self) -> dict[str, Any]:
        """Take all remaining values."""
        left, self._left = self._left, {}
        return left

    def schema(self) -> None:
        """Take ``schema`` and refuse a newer number."""
        found = self.take("schema", int, SCHEMA)
        if found > SCHEMA:
            raise SpecError(
                f"{self.where}: schema {found} is newer than this modalzoo reads (up to {SCHEMA}); upgrade modalzoo"
            )

    def done(self) -> None:
        """Raise SpecError if a key was not taken."""
        if not self._left:
            return
        key = next(iter(self._left))
        guess = did_you_mean(key, self._taken)
        raise SpecError(f"{self.where}: unknown key {key!r}; it takes {', '.join(self._taken)}.{guess}")


def checked_slug(name: str, where: str) -> str:
    """Return ``name`` if it is a slug: lower-case letters, digits, ``.``, ``_`` and ``-``, at most 64 of them."""
    if not SLUG.fullmatch(name):
        raise SpecError(
            f"{where}: {name!r} is not a valid name; use up to 64 lower-case letters, digits, '.', '_' and '-'"
        )
    return name


def json_text(value: Any, *, indent: int | None = None) -> str:
    """Return a value as JSON that can be written as UTF-8.

    A lone surrogate, as in file names that are not UTF-8, becomes an escape, which JSON can read again.
    """
    import json

    written = json.dumps(value, indent=indent, ensure_ascii=False)
    return written if written.isascii() else _LONE.sub(lambda found: f"\\u{ord(found[0]):04x}", written)


def shown(value: Any) -> str:
    """Return a value for a message: its ``repr``, cut to some 200 characters; never raises."""
    try:
        return _SHORT.repr(value)
    except (ValueError, RecursionError):  # a whole number of very many digits
        return f"a value of the type {type(value).__name__} that is too large to show"


def check_values(values: Any, where: str) -> None:
    """Raise SpecError for whole numbers beyond 64 bits, texts that are not UTF-8, and values nested too deeply."""
    level = [values]
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for value in level:
            if type(value) is str and _LONE.search(value):
                raise SpecError(f"{where}: a text is UTF-8, got {shown(value)}; rename what it names")
            if type(value) is int and not -_LARGEST_INT <= value < _LARGEST_INT:
                raise SpecError(f"{where}: a whole number has at most 64 bits, got {shown(value)}")
            if type(value) is dict:
                inner += value.values()
            elif type(value) is list:
                inner += value
        if not inner:
            return
        level = inner
    raise SpecError(f"{where}: tables and lists are nested at most {_DEEPEST - 1} deep; write it flatter")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file of at most 16 MB."""
    try:
        size_bytes = path.stat().st_size
    except (FileNotFoundError, NotADirectoryError):
        raise NotFoundError(f"no file {path}; check the path") from None
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name the TOML file in it")
    if size_bytes > _LARGEST_BYTES:
        raise SpecError(f"{path} has {size_bytes} bytes; a TOML file of the zoo has at most {_LARGEST_BYTES}")
    try:
        return parse_toml(path.read_bytes().decode(), str(path))
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8") from None


def parse_toml(text: str, where: str) -> dict[str, Any]:
    """Read TOML; an error names ``where`` and the line."""
    try:
        with uncollected():  # garbage collection takes a third of reading a large document
            return tomli.loads(text)
    except (tomli.TOMLDecodeError, RecursionError) as error:
        raise SpecError(f"{where} is not valid TOML: {error}; correct that line") from None
    except ValueError as error:  # Python reads whole numbers of up to some thousand digits
        found = _ENDLESS.search(text)
        line = f" in line {text.count(chr(10), 0, found.start()) + 1}" if found else ""
        raise SpecError(f"{where}: a whole number has at most 64 bits, got one of very many digits{line}") from error


def parse_json(text: str | bytes, where: str, *, cure: str) -> Any:
    """Read JSON that the zoo wrote itself.

    Raises IntegrityError, with advice, for text that is not JSON and for numbers or nesting that Python cannot read.
    """
    import json  # a listing reads no JSON

    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise IntegrityError(f"{where} is damaged ({error!s:.200}); {cure}") from error
