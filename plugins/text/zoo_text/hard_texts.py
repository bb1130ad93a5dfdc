"""Texts that are hard to read, for the parity of graphs that read them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from zoo import normalised

# Each in the domain of the front: its NFKC is that of its characters one by one.
PHRASES = (
    "",
    "   ",
    "Red HEART, with a red ribbon!",
    "消防车と ハート、빨간 하트",
    "🚒❤️👩‍🚒 1️⃣ 🇨🇳",
    "Señor's CAFÉ straße İstanbul ΣΊΣΥΦΟΣ",
    "ﬁre ﬂag ǆ ½ x² ㎏ ⅷ ㍿ ㌖ ﷺ ΐ",
    "ＦＩＲＥ　Ｅｎｇｉｎｅ，ｱｲｳ",  # noqa: RUF001
    "हिन्दी แมว שָׁלוֹם",
    "snake_case 3.14 a-b\tc\u00a0d\u200be",
    "half \ud83d of a pair",
    "w" * 300,
)
_DRAWN_BYTES = 512
_RANGES = ((0x21, 0x7F), (0xA1, 0x180), (0x391, 0x3CA), (0x410, 0x450), (0x4E00, 0x9FFF), (0x1F300, 0x1F650))


def hard_text(words: Sequence[str], generator: np.random.Generator) -> str:
    """Draw a text: known words, phrases that are hard to read, or letters of many scripts."""
    match generator.integers(4):
        case 0 if words:
            chosen = [words[place] for place in generator.integers(len(words), size=generator.integers(1, 9))]
            return " ".join(word.upper() if generator.random() < 0.3 else word for word in chosen)
        case 1:
            low, high = _RANGES[generator.integers(len(_RANGES))]
            return "".join(map(chr, generator.integers(low, high, size=generator.integers(1, 24))))
        case 2:
            return "".join(
                chr(generator.integers(*_RANGES[generator.integers(len(_RANGES))])) if generator.random() < 0.8 else " "
                for _ in range(generator.integers(1, 24))
            )
    return str(generator.choice(np.array(PHRASES, dtype=object)))


def hard_bytes(words: Sequence[str], size: int, generator: np.random.Generator) -> bytes:
    """Draw hard texts, and the same again, until they fill ``size`` bytes; spaces stand for half a character."""
    filled = b""
    while len(filled) < min(size, _DRAWN_BYTES):
        filled += normalised(hard_text(words, generator)).encode() + b" "
    filled *= 1 + size // max(1, len(filled))
    return filled[:size].decode(errors="ignore").encode().ljust(size)
