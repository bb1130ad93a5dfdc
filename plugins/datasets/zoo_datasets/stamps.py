"""Stamps of the drawing program Tux Paint: pictures, captions in 78 languages, and people who say them.

They are read from the Debian package ``tuxpaint-stamps-default``, which nothing here depends on. Each stamp is a
picture ``NAME.png`` beside ``NAME.txt``, whose first line is the English caption and whose other lines are
``LANGUAGE.utf8=caption``, and recordings ``NAME_desc_LANGUAGE.ogg``, where English has no language in its name.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from annotated_types import MinLen

from zoo import DataError, NotFoundError, Sample, SpecError
from zoo_datasets.splitting import SHARES, split_of

_DEBIAN = Path("/usr/share/tuxpaint/stamps")
_ENGLISH = "en"
_IN_UTF8 = ".utf8"
_SPOKEN = re.compile(r"(?P<name>.+)_desc(_(?P<language>[\w@]+))?\.(ogg|wav)")
_ARTICLES = frozenset(["a", "an", "some", "the"])


@dataclass(frozen=True)
class Stamps:
    """A ``picture``, its ``caption`` and ``speech``, a person who says the caption: one sample per language.

    The captions are in
    ``languages``, the speech is in ``speech_language``; either is None if a stamp has none in that language. Stamps
    that exist only as SVG are left out. The splits go by the English caption, so that two pictures of a frog are in one
    split. The labels are ``concept``, ``group`` (animals, food, …) and ``language``.

    The environment variable ``ZOO_STAMPS`` names another folder of stamps.
    """

    languages: Annotated[tuple[str, ...], MinLen(1)] = ("fr",)
    speech_language: str = "fr"

    license = "GPL-2.0-only (Tux Paint stamps)"
    contract_exceptions = MappingProxyType({"check": "it reads the package tuxpaint-stamps-default, which is optional"})

    def __post_init__(self) -> None:
        if len(set(self.languages)) < len(self.languages):
            raise SpecError(f"the option 'languages' names each language once, got {list(self.languages)}")

    @property
    def inputs(self) -> Mapping[str, str]:
        """A picture, a caption and a recording."""
        return {"picture": "image", "caption": "text", "speech": "audio"}

    def split(self, name: str) -> Sequence[Sample]:
        """Return the samples of one split: three quarters of the concepts train, a tenth validates, the rest tests.

        Raises NotFoundError if the package is not installed, SpecError if no stamp has a language.
        """
        if name not in SHARES:
            raise NotFoundError(f"the data set 'stamps' has no split {name!r}; it has {', '.join(SHARES)}")
        self._check_languages()
        return [
            Sample(
                key=f"{stamp.name}.{language}",
                inputs={
                    "picture": stamp.picture,
                    "caption": stamp.captions.get(language),
                    "speech": stamp.recordings.get(self.speech_language),
                },
                labels={"concept": stamp.concept, "group": stamp.name.split("/")[0], "language": language},
            )
            for stamp in self._stamps
            if split_of(stamp.concept) == name
            for language in self.languages
        ]

    def _check_languages(self) -> None:
        written = {language for stamp in self._stamps for language in stamp.captions}
        spoken = {language for stamp in self._stamps for language in stamp.recordings}
        for option, asked, there in (
            ("languages", self.languages, written),
            ("speech_language", (self.speech_language,), spoken),
        ):
            if missing := [language for language in asked if language not in there]:
                raise SpecError(
                    f"the option {option!r}: no stamp has {missing[0]!r}; available: {', '.join(sorted(there))}"
                )

    @cached_property
    def _stamps(self) -> Sequence[_Stamp]:
        folder = Path(os.environ.get("ZOO_STAMPS", "") or _DEBIAN).expanduser()
        files = {path.relative_to(folder).as_posix(): path for path in sorted(folder.rglob("*.*"))}
        recordings = _recordings(files)
        found = []
        for name in (file.removesuffix(".png") for file in files if file.endswith(".png")):
            if f"{name}.txt" in files:
                captions = _captions(files[f"{name}.txt"])
                found.append(_Stamp(name, files[f"{name}.png"], captions, recordings.get(name, {})))
        if not found:
            raise NotFoundError(
                f"{folder} holds no stamps, which are pictures NAME.png beside NAME.txt; install the Debian package "
                "tuxpaint-stamps-default, or name a folder of stamps in ZOO_STAMPS"
            )
        return found


@dataclass(frozen=True)
class _Stamp:
    name: str
    picture: Path
    captions: Mapping[str, str]
    recordings: Mapping[str, Path]

    @property
    def concept(self) -> str:
        """The English caption without its article, capitals and punctuation at the end."""
        caption = self.captions[_ENGLISH].lower().rstrip(".!")
        article, _, rest = caption.partition(" ")
        return rest if article in _ARTICLES else caption


def _captions(path: Path) -> dict[str, str]:
    """Return the captions of a stamp by language, without lines in other encodings, which old stamps have."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} cannot be read: {error}; save it as UTF-8 or install the package again") from error
    captions = {_ENGLISH: lines[0].strip() if lines else ""}
    if not captions[_ENGLISH]:
        raise DataError(f"{path}: expected the English caption as the first line, got an empty one; write it there")
    for line in lines[1:]:
        key, _, caption = line.partition("=")
        if key.endswith(_IN_UTF8) and caption.strip():
            captions[key.removesuffix(_IN_UTF8)] = caption.strip()
    return captions


def _recordings(files: Mapping[str, Path]) -> dict[str, dict[str, Path]]:
    """Return the recordings of each stamp by language; if there are two, the .ogg."""
    found: dict[str, dict[str, Path]] = {}
    for file, path in files.items():
        if spoken := _SPOKEN.fullmatch(file):
            found.setdefault(spoken["name"], {}).setdefault(spoken["language"] or _ENGLISH, path)
    return found
