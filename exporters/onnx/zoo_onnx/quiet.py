"""Keeps the output and logs of other libraries away from the user of a command."""

from __future__ import annotations

import io
import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout

_LOGGERS = ("", "torch", "torch.onnx", "onnxscript", "onnx_ir", "onnxruntime")
# These settings belong to the whole process: a second thread would restore those that the first one had made.
_one_thread = threading.RLock()


@contextmanager
def quiet() -> Iterator[None]:
    """Let only errors through: no progress lines, notices or warnings. One thread at a time runs the block."""
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    with _one_thread:
        levels = [logger.level for logger in loggers]
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
                warnings.simplefilter("ignore")
                yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
