"""What a verb takes for a bundle: its folder, or what ``zoo.open_bundle`` returned."""

from __future__ import annotations

import os

from zoo.runtime.bundle import Bundle, open_bundle


def bundle_of(bundle: str | os.PathLike[str] | Bundle) -> Bundle:
    """Return a bundle as it was opened; a folder is opened for the CPU.

    Raises as ``zoo.open_bundle`` does.
    """
    return bundle if isinstance(bundle, Bundle) else open_bundle(os.fspath(bundle))
