"""Files of fewer bits: written beside the float32 graphs of a bundle, judged, and measured on the task.

A file at a lower precision is held to that precision's own tolerance on what the modality draws and on rows of the
entry's data; one whose ranges were calibrated is promised for such data alone, and judged on it alone. What it is worth
is told by its size, its latency and the task's metrics.
"""

from zoo.precisions.data import Data
from zoo.precisions.files import Placed, calibrates, reduce_graph
from zoo.precisions.worth import Worth, losses, recommended, table, worth
from zoo.runtime.manifest import FULL

__all__ = ["FULL", "Data", "Placed", "Worth", "calibrates", "losses", "recommended", "reduce_graph", "table", "worth"]
