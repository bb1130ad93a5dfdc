"""Serves a bundle with NumPy and onnxruntime alone: no torch, no training code."""

from zoo.runtime.bundle import Bundle, open_bundle
from zoo.runtime.replay import replay
from zoo.runtime.session import Session, open_session

__all__ = ["Bundle", "Session", "open_bundle", "open_session", "replay"]
