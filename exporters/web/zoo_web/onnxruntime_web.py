"""The files of onnxruntime-web, which come from npm and are not kept in this repository."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from zoo import UsageError

TESTED = "1.30.0"
FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
_SETTING = "ZOO_ONNXRUNTIME_WEB"
_INSTALLED_HERE = Path("node_modules/onnxruntime-web/dist")


def found_folder(named: str) -> Path | None:
    """Return the folder of onnxruntime-web: ``named``, else that of the setting, else that of npm here.

    Raises UsageError if a named folder lacks a file.
    """
    named = named or os.environ.get(_SETTING, "")
    folder = Path(named) if named else _INSTALLED_HERE
    lacking = [file for file in FILES if not (folder / file).is_file()]
    if not lacking:
        return folder
    if named:
        raise UsageError(
            f"{folder} lacks {lacking[0]}, so it is not a folder of onnxruntime-web; run `npm install "
            f"onnxruntime-web@{TESTED}` and name node_modules/onnxruntime-web/dist"
        )
    return None


def copied(folder: Path, target: Path) -> None:
    """Copy the files of onnxruntime-web that a page needs."""
    for file in FILES:
        shutil.copyfile(folder / file, target / file)
