"""modalzoo: a plugin-based zoo of multimodal models, trained by torch and served as ONNX without it.

The public names are those that are imported below for type checkers; each is loaded on first use, so that
``import zoo`` stays light.
"""

import os
from typing import TYPE_CHECKING

# onnxruntime reads this on import; without it, it looks up its maker's host and writes an id into the user's cache.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from zoo.abilities import (
        ComparesEmbeddings as ComparesEmbeddings,
        CountsByTerm as CountsByTerm,
        MeasuresAnswers as MeasuresAnswers,
        RunsGraphs as RunsGraphs,
        ScoresRepeatedly as ScoresRepeatedly,
    )
    from zoo.catalogue.registry import RegistryEntry as RegistryEntry
    from zoo.catalogue.targets import Target as Target
    from zoo.discovery.components import modality_of as modality_of
    from zoo.discovery.first_use import on_first_use as on_first_use
    from zoo.discovery.plugins import (
        Plugins as Plugins,
        translations as translations,
    )
    from zoo.discovery.registered import (
        Component as Component,
        Plugin as Plugin,
    )
    from zoo.errors import (
        DataError as DataError,
        DiskError as DiskError,
        IntegrityError as IntegrityError,
        MetricError as MetricError,
        MissingExtraError as MissingExtraError,
        NotFoundError as NotFoundError,
        OfflineError as OfflineError,
        ParityError as ParityError,
        PluginError as PluginError,
        SpecError as SpecError,
        TrainingError as TrainingError,
        UnknownNameError as UnknownNameError,
        UsageError as UsageError,
        ZooError as ZooError,
        did_you_mean as did_you_mean,
        safe_address as safe_address,
        without_secrets as without_secrets,
    )
    from zoo.evaluation.metrics import Metric as Metric
    from zoo.evaluation.subsets import by_subset as by_subset, every_subset as every_subset, subset_name as subset_name
    from zoo.exporting.judging import Verdict as Verdict
    from zoo.files.fetching import Wanted as Wanted
    from zoo.files.packages import path_in_package as path_in_package
    from zoo.files.store import Digest as Digest
    from zoo.hookspecs import (
        API_VERSION as API_VERSION,
        ENTRY_POINT_GROUP as ENTRY_POINT_GROUP,
        __version__ as __version__,
        hookimpl as hookimpl,
    )
    from zoo.models.attention import TransformerBlock as TransformerBlock, self_attention as self_attention
    from zoo.models.build import Model as Model, build as build
    from zoo.models.checkpoint import (
        Checkpoint as Checkpoint,
    )
    from zoo.models.folding import Folded as Folded, decode as decode
    from zoo.models.graphs import (
        decode_graph as decode_graph,
        embed_graph as embed_graph,
        encode_graph as encode_graph,
        reconstruct_graph as reconstruct_graph,
        translate_graph as translate_graph,
    )
    from zoo.models.limits import limited as limited, limited_scale as limited_scale
    from zoo.modules import (
        Batch as Batch,
        Decoder as Decoder,
        Encoder as Encoder,
        Front as Front,
        Input as Input,
        Likelihood as Likelihood,
        Losses as Losses,
        Objective as Objective,
        Tensors as Tensors,
        zeros_where_absent as zeros_where_absent,
    )
    from zoo.offers import (
        FindsFault as FindsFault,
        NamesTokens as NamesTokens,
        ReadsFiles as ReadsFiles,
        Reduces as Reduces,
        SharesWeights as SharesWeights,
        Stamps as Stamps,
        TakesRaw as TakesRaw,
        TellsLimits as TellsLimits,
        Truncates as Truncates,
        WritesFiles as WritesFiles,
        truncated_rows as truncated_rows,
    )
    from zoo.parity.precisions import PRECISIONS as PRECISIONS, Precision as Precision
    from zoo.parity.tolerance import Compared as Compared
    from zoo.protocols import (
        Axis as Axis,
        Dataset as Dataset,
        DrawInputs as DrawInputs,
        DType as DType,
        Exporter as Exporter,
        Graph as Graph,
        Imported as Imported,
        Importer as Importer,
        Layout as Layout,
        Modality as Modality,
        NormalForm as NormalForm,
        Progress as Progress,
        Reference as Reference,
        RunsArrays as RunsArrays,
        Sample as Sample,
        Stage as Stage,
        TensorSpec as TensorSpec,
    )
    from zoo.reading.lists import listed as listed
    from zoo.reading.stderr import LibraryMessages as LibraryMessages, library_messages as library_messages
    from zoo.reading.tabulated import (
        BadTableRow as BadTableRow,
        Table as Table,
        TableRow as TableRow,
        open_table as open_table,
    )
    from zoo.recipes.naming import (
        by_leaf as by_leaf,
        graph_name as graph_name,
        inputs_of as inputs_of,
        of_owner as of_owner,
        tensor_name as tensor_name,
        translation_name as translation_name,
        with_owner as with_owner,
    )
    from zoo.recipes.options import Option as Option
    from zoo.recipes.spec import (
        Evaluation as Evaluation,
        InputSpec as InputSpec,
        ModelSpec as ModelSpec,
        Part as Part,
        Recipe as Recipe,
    )
    from zoo.recipes.training import Training as Training
    from zoo.reporting.page import report as report
    from zoo.runtime.bundle import Bundle as Bundle, open_bundle as open_bundle
    from zoo.runtime.embedding import Embedded as Embedded
    from zoo.runtime.manifest import Manifest as Manifest
    from zoo.runtime.records import (
        GraphRecord as GraphRecord,
        JudgedFile as JudgedFile,
        Origin as Origin,
        Parity as Parity,
        Worth as Worth,
    )
    from zoo.runtime.session import Session as Session, open_session as open_session
    from zoo.runtime.utf8 import (
        as_utf8 as as_utf8,
        from_utf8 as from_utf8,
        normalised as normalised,
        utf8_bytes as utf8_bytes,
    )
    from zoo.runtime.values import Prepared as Prepared
    from zoo.runtime.vectors import Vectors as Vectors
    from zoo.samples.missing import LeftOut as LeftOut
    from zoo.testing.checking import Checked as Checked
    from zoo.training.train import (
        TakenStep as TakenStep,
    )
    from zoo.verbs.authoring import (
        CheckedPlugin as CheckedPlugin,
        check_plugin as check_plugin,
        new_plugin as new_plugin,
    )
    from zoo.verbs.data import (
        DataCard as DataCard,
        data as data,
    )
    from zoo.verbs.doctor import (
        Diagnosis as Diagnosis,
        doctor as doctor,
    )
    from zoo.verbs.embed import embed as embed
    from zoo.verbs.entries import (
        Entries as Entries,
        entries as entries,
    )
    from zoo.verbs.evaluate import (
        Measured as Measured,
        evaluate as evaluate,
    )
    from zoo.verbs.export import export as export
    from zoo.verbs.fetch import (
        Fetched as Fetched,
        fetch as fetch,
    )
    from zoo.verbs.importing import (
        ImportedRun as ImportedRun,
        import_model as import_model,
    )
    from zoo.verbs.info import (
        Card as Card,
        info as info,
    )
    from zoo.verbs.judge import (
        JudgedAgain as JudgedAgain,
        Judgement as Judgement,
        judge as judge,
    )
    from zoo.verbs.load import load as load
    from zoo.verbs.outputs import (
        Written as Written,
        write_outputs as write_outputs,
    )
    from zoo.verbs.plugins import (
        ComponentOptions as ComponentOptions,
        options as options,
        plugins as plugins,
    )
    from zoo.verbs.search import (
        Hit as Hit,
        Hits as Hits,
        search as search,
    )
    from zoo.verbs.train import (
        TrainedRun as TrainedRun,
        train as train,
    )
else:
    from zoo.discovery.first_use import on_first_use

    __getattr__ = on_first_use(__name__)

    def __dir__() -> list[str]:
        """Return the public names."""
        return __getattr__("__all__")
