"""The length that a sound file's container states, compared with the length of the file.

libsndfile reads a truncated file without an error. So the containers that it may read are listed here, each with the
place where it states how many bytes of sound follow. Sources: RFC 3533 (Ogg), RFC 9639 (FLAC), EBU Tech 3306 (RF64),
Apple's Core Audio Format 1.0, Sony's Wave64 1.0, and WAVE, AIFF-C, AU and NIST SPHERE as their makers describe them.
"""

from __future__ import annotations

import os
import re
import struct
from collections.abc import Callable, Mapping
from typing import BinaryIO

# By libsndfile's name of a format.
NAMES = {
    **{"WAV": "WAV", "WAVEX": "WAV", "RF64": "RF64", "W64": "W64", "AIFF": "AIFF", "AU": "AU", "CAF": "CAF"},
    **{"NIST": "NIST", "FLAC": "FLAC", "OGG": "OGG", "MP3": "MP3"},
}
SUFFIXES = frozenset(
    (
        *(".wav", ".wave", ".rf64", ".w64", ".aif", ".aiff", ".aifc", ".au", ".snd", ".caf"),
        *(".nist", ".sph", ".flac", ".ogg", ".oga", ".opus", ".mp3"),
    )
)
# The first bytes of files whose decoders write nothing to stderr.
QUIET = (b"RIFF", b"RIFX", b"RF64", b"riff", b"FORM", b".snd", b"dns.", b"caff", b"NIST", b"fLaC", b"OggS")
UNKNOWN_FRAMES = 2**63 - 1
_UNKNOWN_BYTES = 0x7F000000  # written by recorders that do not know how long they will run
_W64_DATA = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
_TAIL_BYTES = 1 << 17  # a page of Ogg is at most 65,307 bytes
_PAGE_BYTES = 27  # of its header, without the table of segments
_LAST_PAGE = 4


def is_cut_short(file: BinaryIO, format_name: str) -> bool:
    """Return whether a file states more sound than it has or, for Ogg, whether its last page is incomplete.

    FLAC and MP3 state frames, which are compared when they are decoded.
    """
    size_bytes = file.seek(0, os.SEEK_END)
    file.seek(0)
    try:
        if format_name == "OGG":
            return not _ends_with_last_page(file, size_bytes)
        end = _STATED_END[format_name](file) if format_name in _STATED_END else None
    except struct.error:  # the header itself ends early
        return True
    return end is not None and end > size_bytes


def _read(file: BinaryIO, form: str) -> tuple[int, ...]:
    return struct.unpack(form, file.read(struct.calcsize(form)))


def _chunks_end(file: BinaryIO, name: bytes, order: str) -> int | None:
    """Return where the chunk ``name`` of a file of chunks should end; None if the file does not state it."""
    file.seek(12)
    while len(found := file.read(4)) == 4:
        (length,) = _read(file, f"{order}I")
        if found == name:
            return None if length >= _UNKNOWN_BYTES else file.tell() + length
        file.seek(length + length % 2, os.SEEK_CUR)
    return None


def _wav_end(file: BinaryIO) -> int | None:
    return _chunks_end(file, b"data", ">" if file.read(4) == b"RIFX" else "<")


def _aiff_end(file: BinaryIO) -> int | None:
    return _chunks_end(file, b"SSND", ">")


def _rf64_end(file: BinaryIO) -> int | None:
    file.seek(12)
    if file.read(4) != b"ds64":
        return _chunks_end(file, b"data", "<")
    _, _, length = _read(file, "<IQQ")
    file.seek(12)
    while len(found := file.read(4)) == 4:
        (skipped,) = _read(file, "<I")
        if found == b"data":
            return file.tell() + (length if skipped == 0xFFFFFFFF else skipped)
        file.seek(skipped + skipped % 2, os.SEEK_CUR)
    return None


def _w64_end(file: BinaryIO) -> int | None:
    file.seek(40)
    while len(found := file.read(16)) == 16:
        (length,) = _read(file, "<Q")  # with its header of 24 bytes
        if found == _W64_DATA:
            return file.tell() - 24 + length
        file.seek(max(0, (length + 7) // 8 * 8 - 24), os.SEEK_CUR)
    return None


def _au_end(file: BinaryIO) -> int | None:
    order = "<" if file.read(4) == b"dns." else ">"
    start, length = _read(file, f"{order}II")
    return None if length >= _UNKNOWN_BYTES else start + length


def _caf_end(file: BinaryIO) -> int | None:
    file.seek(8)
    while len(found := file.read(4)) == 4:
        (length,) = _read(file, ">q")
        if found == b"data":
            return file.tell() + length
        file.seek(length, os.SEEK_CUR)
    return None


def _nist_end(file: BinaryIO) -> int | None:
    header = file.read(1024)
    stated = {name: int(number) for name, number in re.findall(rb"^(\w+) -i (\d+)", header, re.MULTILINE)}
    length = stated.get(b"sample_count", 0) * stated.get(b"sample_n_bytes", 0) * stated.get(b"channel_count", 1)
    return int(header.split()[1]) + length if length else None


def _ends_with_last_page(file: BinaryIO, size_bytes: int) -> bool:
    file.seek(max(0, size_bytes - _TAIL_BYTES))
    tail = file.read()
    page = tail[tail.rfind(b"OggS") :]
    if len(page) < _PAGE_BYTES or not page.startswith(b"OggS"):
        return False
    segments = page[26]
    length = _PAGE_BYTES + segments + sum(page[_PAGE_BYTES : _PAGE_BYTES + segments])
    return bool(page[5] & _LAST_PAGE) and len(page) >= length


_STATED_END: Mapping[str, Callable[[BinaryIO], int | None]] = {
    "WAV": _wav_end,
    "WAVEX": _wav_end,
    "RF64": _rf64_end,
    "W64": _w64_end,
    "AIFF": _aiff_end,
    "AU": _au_end,
    "CAF": _caf_end,
    "NIST": _nist_end,
}
