"""Faults planted in files that real components were exported to, and how the parity contract fares on them."""
