"""Files inside installed packages, found without importing the package."""

import os.path
from contextlib import suppress
from pathlib import Path, PurePosixPath

from zoo.errors import NotFoundError, UsageError


def path_in_package(address: str) -> Path:
    """Return the path of the file ``NAME/PATH`` of an installed package, whether or not the file is there.

    Raises UsageError if the address is malformed, NotFoundError if the package is not installed; the message continues
    the address.

    Examples:
        >>> path_in_package("zoo/errors.py").name
        'errors.py'
    """
    import importlib.util  # a listing does not need it

    package, _, rest = address.partition("/")
    relative = path_inside(rest)
    if not package.isidentifier():
        raise UsageError(f"is not a source: expected the import name of a package, came {package!r}")
    spec = None
    with suppress(ImportError, ValueError):
        spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise NotFoundError(f"leads into the package {package!r}, which is not installed")
    places = [Path(folder) / relative for folder in spec.submodule_search_locations]
    return next((place for place in places if os.path.isfile(place)), places[0])


def path_inside(path: str) -> PurePosixPath:
    """Return a relative path; raise UsageError if it leads out of the folder it starts from."""
    relative = PurePosixPath(path)
    if not relative.parts or relative.is_absolute() or ".." in relative.parts or "\\" in path or "\0" in path:
        raise UsageError(f"is not a source: expected a path that stays inside its folder, came {path!r}")
    return relative
