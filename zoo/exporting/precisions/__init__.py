"""Files with fewer bits per number: written beside the float32 graphs of a bundle, judged, and measured on the task.

A file at a lower precision is judged by that precision's own tolerance, on inputs that the modality draws and on rows
of the entry's data. A file with calibrated ranges is meant only for such data, and is judged only on it. Its size,
its latency and the task's metrics are reported.
"""
