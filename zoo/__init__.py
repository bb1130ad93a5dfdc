"""modalzoo: a plugin-based zoo of multimodal models, trained by torch and served as ONNX without it.

Public names are loaded on first use, so that ``import zoo`` stays light.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

# onnxruntime reads it as it is imported; without it, it looks its maker up and writes an id into the user's cache.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from zoo.checkpoint import load as load
    from zoo.errors import (
        DataError as DataError,
        NotFoundError as NotFoundError,
        OfflineError as OfflineError,
        ParityError as ParityError,
        SpecError as SpecError,
        UsageError as UsageError,
        ZooError as ZooError,
    )
    from zoo.evaluation import evaluate as evaluate
    from zoo.exporting import export as export
    from zoo.fetching import Wanted as Wanted, fetch as fetch
    from zoo.folding import Folded as Folded, decode as decode
    from zoo.graphs import (
        decode_graph as decode_graph,
        embed_graph as embed_graph,
        encode_graph as encode_graph,
        reconstruct_graph as reconstruct_graph,
        translate_graph as translate_graph,
    )
    from zoo.hookspecs import API_VERSION as API_VERSION, hookimpl as hookimpl
    from zoo.limits import limited as limited, limited_scale as limited_scale
    from zoo.lists import listed as listed
    from zoo.model import Model as Model, build as build
    from zoo.modules import (
        Batch as Batch,
        CountsByTerm as CountsByTerm,
        Decoder as Decoder,
        Encoder as Encoder,
        Front as Front,
        Input as Input,
        Likelihood as Likelihood,
        Losses as Losses,
        Objective as Objective,
        RunsGraphs as RunsGraphs,
        Tensors as Tensors,
    )
    from zoo.offers import (
        ReadsFiles as ReadsFiles,
        TakesRaw as TakesRaw,
        TellsLimits as TellsLimits,
        Truncates as Truncates,
        WritesFiles as WritesFiles,
    )
    from zoo.packages import path_in_package as path_in_package
    from zoo.plugins import translations as translations
    from zoo.protocols import (
        Axis as Axis,
        Dataset as Dataset,
        Exporter as Exporter,
        Graph as Graph,
        Layout as Layout,
        Modality as Modality,
        RunsArrays as RunsArrays,
        Sample as Sample,
        Stage as Stage,
        TensorSpec as TensorSpec,
    )
    from zoo.reporting.page import report as report
    from zoo.runtime import (
        Bundle as Bundle,
        Session as Session,
        open_bundle as open_bundle,
        open_session as open_session,
    )
    from zoo.spec import Recipe as Recipe
    from zoo.stderr import LibraryMessages as LibraryMessages, library_messages as library_messages
    from zoo.subsets import by_subset as by_subset, every_subset as every_subset, subset_name as subset_name
    from zoo.tabulated import (
        BadTableRow as BadTableRow,
        Table as Table,
        TableRow as TableRow,
        open_table as open_table,
    )
    from zoo.training import train as train
    from zoo.utf8 import (
        as_utf8 as as_utf8,
        from_utf8 as from_utf8,
        normalised as normalised,
        utf8_bytes as utf8_bytes,
    )

__version__ = "0.1.0"

_PUBLIC = {
    "API_VERSION": "zoo.hookspecs",
    "hookimpl": "zoo.hookspecs",
    "translations": "zoo.plugins",
    "path_in_package": "zoo.packages",
    "ZooError": "zoo.errors",
    "DataError": "zoo.errors",
    "SpecError": "zoo.errors",
    "UsageError": "zoo.errors",
    "NotFoundError": "zoo.errors",
    "OfflineError": "zoo.errors",
    "ParityError": "zoo.errors",
    "Axis": "zoo.protocols",
    "Dataset": "zoo.protocols",
    "Exporter": "zoo.protocols",
    "Graph": "zoo.protocols",
    "Layout": "zoo.protocols",
    "Modality": "zoo.protocols",
    "RunsArrays": "zoo.protocols",
    "Sample": "zoo.protocols",
    "Stage": "zoo.protocols",
    "ReadsFiles": "zoo.offers",
    "TakesRaw": "zoo.offers",
    "TensorSpec": "zoo.protocols",
    "TellsLimits": "zoo.offers",
    "Truncates": "zoo.offers",
    "WritesFiles": "zoo.offers",
    "LibraryMessages": "zoo.stderr",
    "library_messages": "zoo.stderr",
    "Batch": "zoo.modules",
    "CountsByTerm": "zoo.modules",
    "Decoder": "zoo.modules",
    "Encoder": "zoo.modules",
    "Folded": "zoo.folding",
    "Front": "zoo.modules",
    "Input": "zoo.modules",
    "Likelihood": "zoo.modules",
    "Losses": "zoo.modules",
    "Objective": "zoo.modules",
    "RunsGraphs": "zoo.modules",
    "Tensors": "zoo.modules",
    "decode": "zoo.folding",
    "limited": "zoo.limits",
    "limited_scale": "zoo.limits",
    "decode_graph": "zoo.graphs",
    "embed_graph": "zoo.graphs",
    "encode_graph": "zoo.graphs",
    "reconstruct_graph": "zoo.graphs",
    "translate_graph": "zoo.graphs",
    "Wanted": "zoo.fetching",
    "fetch": "zoo.fetching",
    "Recipe": "zoo.spec",
    "by_subset": "zoo.subsets",
    "every_subset": "zoo.subsets",
    "subset_name": "zoo.subsets",
    "listed": "zoo.lists",
    "Model": "zoo.model",
    "build": "zoo.model",
    "load": "zoo.checkpoint",
    "BadTableRow": "zoo.tabulated",
    "Table": "zoo.tabulated",
    "TableRow": "zoo.tabulated",
    "open_table": "zoo.tabulated",
    "train": "zoo.training",
    "as_utf8": "zoo.utf8",
    "from_utf8": "zoo.utf8",
    "normalised": "zoo.utf8",
    "utf8_bytes": "zoo.utf8",
    "evaluate": "zoo.evaluation",
    "report": "zoo.reporting.page",
    "export": "zoo.exporting",
    "Bundle": "zoo.runtime",
    "Session": "zoo.runtime",
    "open_bundle": "zoo.runtime",
    "open_session": "zoo.runtime",
}

__all__ = ["__version__", *_PUBLIC]


def __getattr__(name: str) -> Any:
    """Load a public name on first use."""
    if name not in _PUBLIC:
        raise AttributeError(f"module 'zoo' has no attribute {name!r}")
    return getattr(import_module(_PUBLIC[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
