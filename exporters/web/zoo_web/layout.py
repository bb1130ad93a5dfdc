"""The layout ``web``: a static page beside the graphs of a bundle, which it runs in the browser."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors.numpy import save

from zoo import Dataset, UsageError, open_bundle
from zoo_web.onnxruntime_web import TESTED, copied, found_folder
from zoo_web.searching import search_of
from zoo_web.sliding import latent_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAGE = Path(__file__).with_name("page")
CONTENT, ARRAYS = "page.json", "page.safetensors"
_log = logging.getLogger(__name__)


class WebLayout:
    """A page that shows what a bundle can do: search by words, sliders through a latent, and its parity.

    ``onnxruntime_web`` is the folder ``dist`` of the npm package ``onnxruntime-web``; by default the one that
    ``ZOO_ONNXRUNTIME_WEB`` names, or that of ``node_modules`` in the working folder. If there is none, the page is
    still written, and says which files to put beside it.

    Raises UsageError if a named folder is not a folder of onnxruntime-web.
    """

    def __init__(self, onnxruntime_web: str = "") -> None:
        self.onnxruntime_web = found_folder(onnxruntime_web)

    def write(self, folder: Path, dataset: Dataset) -> None:
        """Add the page to the bundle in ``folder``; its examples are taken from ``dataset``.

        Raises UsageError if the graphs are not ONNX files.
        """
        bundle = open_bundle(folder, keeps=False)
        others = [graph.file for graph in bundle.manifest.graphs.values() if not graph.file.endswith(".onnx")]
        if others:
            raise UsageError(
                f"the layout 'web' needs graphs as ONNX, the bundle has {others[0]}; export with `to='onnx'`"
            )
        arrays: dict[str, NDArray[Any]] = {}
        content = {
            "schema": 1,
            "name": bundle.manifest.origin.name,
            "data_license": bundle.manifest.origin.data_license or dataset.license,
            "onnxruntime_web": TESTED,
            "search": search_of(bundle, dataset, folder, arrays),
            "latent": latent_of(bundle, dataset, folder, arrays),
        }
        for file in sorted(PAGE.iterdir()):
            shutil.copyfile(file, folder / file.name)
        (folder / CONTENT).write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")
        (folder / ARRAYS).write_bytes(save(arrays))
        if self.onnxruntime_web is None:
            _log.warning(
                "the page lacks onnxruntime-web: run `npm install onnxruntime-web@%s` and export again, or set "
                "ZOO_ONNXRUNTIME_WEB to its folder `dist`",
                TESTED,
            )
        else:
            copied(self.onnxruntime_web, folder)
