"""Where the zoo keeps files between calls; in a module of its own, since opening a bundle needs nothing else of it."""

import os
from pathlib import Path


def home() -> Path:
    """Return the folder of the cache: ``ZOO_HOME``, else the user's cache folder."""
    if chosen := os.environ.get("ZOO_HOME"):
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("modalzoo", appauthor=False)
