"""OpenVINO without its telemetry: ``import openvino`` would write to the user's home and report itself."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TELEMETRY = "openvino_telemetry"


@contextmanager
def _without_telemetry() -> Iterator[None]:
    before = sys.modules.get(_TELEMETRY)
    sys.modules[_TELEMETRY] = None  # type: ignore[assignment]  # to import it fails, and a stub takes its place
    try:
        yield
    finally:
        del sys.modules[_TELEMETRY]
        if before is not None:
            sys.modules[_TELEMETRY] = before


with _without_telemetry():
    import openvino
    from openvino import opset13 as ops

__all__ = ["openvino", "ops"]
