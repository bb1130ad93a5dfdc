"""Serves a bundle with NumPy and onnxruntime alone: no torch, no training code."""
