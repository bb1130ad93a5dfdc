"""The split that a concept belongs to."""

import hashlib

SHARES = {"train": 0.75, "validation": 0.1, "test": 0.15}


def split_of(concept: str) -> str:
    """Return the split of a concept: its sha256, read as a number from 0 to 1, falls into the range of one split."""
    place = int.from_bytes(hashlib.sha256(concept.encode()).digest()[:8], "big") / 2**64
    for name, share in SHARES.items():
        if place < share:
            return name
        place -= share
    return "test"
