"""A verb's bundle argument: a folder, or the result of ``zoo.open_bundle``."""

from __future__ import annotations

import os

from zoo.runtime.bundle import Bundle, open_bundle


def bundle_of(bundle: str | os.PathLike[str] | Bundle) -> Bundle:
    """Return an opened bundle unchanged; a folder is opened for the CPU.

    Raises as ``zoo.open_bundle`` does.
    """
    return bundle if isinstance(bundle, Bundle) else open_bundle(os.fspath(bundle))
