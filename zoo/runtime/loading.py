"""Loads a graph into onnxruntime, on the requested provider and with the settings that parity needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from zoo.discovery.extras import extras_named
from zoo.errors import UsageError, ZooError
from zoo.runtime.optimised import kept_or_made

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, SessionOptions

PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider", "tensorrt": "TensorrtExecutionProvider"}
_WEIGHTS_FOLDER = "session.model_external_initializers_file_folder_path"


def check_serving(provider: str, threads: int) -> None:
    """Raise UsageError if there is no such provider, or ``threads`` is below 1."""
    if provider not in PROVIDERS:
        raise UsageError(f"no provider {provider!r}; available: {', '.join(PROVIDERS)}")
    if threads < 1:
        raise UsageError(f"a session runs on at least 1 thread, got {threads}")


def load(
    path: Path,
    *,
    provider: str = "cpu",
    threads: int = 1,
    fixed_shapes: bool = False,
    settings: Mapping[str, str] | None = None,
    identity: str = "",
) -> InferenceSession:
    """Return a session of onnxruntime on one provider; there is no silent fall-back to another.

    ``fixed_shapes`` lets CUDA record its work once per shape and replay it later; only ``Bound`` can run such a
    session. ``settings`` are entries of onnxruntime's session configuration. If an ``identity`` is given, which stands
    for the bytes of the graph and of its weights, the optimised graph is kept in the cache for the next opening; nobody
    else may write to the files until the session exists.

    Raises MissingExtraError if onnxruntime is missing, ZooError if it cannot use the provider or read the file.
    """
    with extras_named():
        import onnxruntime as ort
    check_serving(provider, threads)
    wanted = PROVIDERS[provider]
    if wanted not in ort.get_available_providers():
        raise ZooError(f"this onnxruntime has no {wanted}; install modalzoo[gpu], or use `provider='cpu'`")
    chosen = [(wanted, provider_options(provider, fixed_shapes=fixed_shapes))]

    def make(graph: str | bytes, options: SessionOptions) -> InferenceSession:
        # Its own fall-back would print to stdout, and load on another provider.
        return ort.InferenceSession(graph, options, providers=chosen, enable_fallback=0)

    def from_file(save_to: Path | None = None) -> InferenceSession:
        options = session_options(threads, settings)
        if save_to is not None:
            options.optimized_model_filepath = str(save_to)
        return make(str(path), options)

    def from_optimised(content: bytes) -> InferenceSession | None:
        # Weights beside the graph are still read from there: the cached graph refers to them.
        options = session_options(threads, {**(settings or {}), _WEIGHTS_FOLDER: str(path.parent.absolute())})
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            return make(content, options)
        except runtime_errors():
            return None

    try:
        # A graph for another provider than the CPU may hold nodes that cannot be saved.
        if identity and provider == "cpu":
            session = kept_or_made(f"{identity} {sorted((settings or {}).items())}", from_file, from_optimised)
        else:
            session = from_file()
    except runtime_errors() as error:
        if provider != "cpu" and isinstance(error, RuntimeError):
            raise ZooError(
                f"{wanted} cannot be used here: {first_line(error)}; check the driver and CUDA's libraries, or use "
                "`provider='cpu'`"
            ) from error
        raise ZooError(
            f"onnxruntime cannot load the graph {path.stem!r}: {first_line(error)}; export the model again"
        ) from error
    if session.get_providers()[0] != wanted:
        raise ZooError(
            f"{wanted} cannot be used here, onnxruntime fell back to {session.get_providers()[0]}; "
            "check the driver and CUDA's libraries, or use `provider='cpu'`"
        )
    return session


def session_options(threads: int, settings: Mapping[str, str] | None = None) -> SessionOptions:
    """Return options for exactly this number of threads."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # errors are raised instead
    for key, value in (settings or {}).items():
        options.add_session_config_entry(key, value)
    return options


def provider_options(provider: str, *, fixed_shapes: bool = False) -> dict[str, Any]:
    """Return the options of a provider: on CUDA products in whole float32, since TF32 would miss parity."""
    if provider != "cuda":
        return {}
    return {"use_tf32": "0", **({"enable_cuda_graph": "1"} if fixed_shapes else {})}


def runtime_errors() -> tuple[type[Exception], ...]:
    """Return the errors of onnxruntime, which have no class in common; a message that is not text is a ValueError."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    own = (kind for kind in vars(state).values() if isinstance(kind, type) and issubclass(kind, Exception))
    return (*own, ValueError, RuntimeError)


def first_line(error: Exception) -> str:
    """Return the message of an onnxruntime error, without its trace."""
    return str(error).strip().partition("\n")[0]
