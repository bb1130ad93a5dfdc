"""Files of fewer bits: written beside the float32 graphs of a bundle, judged, and measured on the task.

A file at a lower precision is held to that precision's own tolerance on what the modality draws and on rows of the
entry's data; one whose ranges were calibrated is promised for such data alone, and judged on it alone. What it is worth
is told by its size, its latency and the task's metrics.
"""
