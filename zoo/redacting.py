"""Addresses as they may be told: without user and password, without the values of a query, which hold tokens."""

import re

_WITH_HOST = re.compile(r"(?:https?|ftp|socks\w*):/*|.*//", re.IGNORECASE)
_START = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?/*")
_ADDRESS = re.compile(
    r"(?:\b[A-Za-z][A-Za-z0-9+.-]*:|(?<![^\s'\"(]))//[^\s'\"`<>]+|\bhttps?:[^\s'\"`<>]+", re.IGNORECASE
)
_POINTS = ".,;:)]"


def told(address: str) -> str:
    """Return an address, or a source of another form, as it may be shown to anybody.

    >>> told("https://ada:lovelace@example.org/w.bin?token=3f2a&part=1")
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
    """Return a text with every address in it as ``told`` tells it."""
    return _ADDRESS.sub(lambda found: _ended(found[0]), text) if "//" in text or "http" in text.lower() else text


def _ended(address: str) -> str:
    inner = address.rstrip(_POINTS)
    return told(inner) + address[len(inner) :]
