"""Tables of whole numbers inside a graph."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Int
from numpy.typing import NDArray
from torch import Tensor, nn


class Table(nn.Module):
    """Whole numbers by row, kept in the smallest dtype that holds them and read as int64.

    An embedding lookup is one operator in ONNX; an index in brackets becomes many. If the table has columns, the result
    has all of them at each place.
    """

    numbers: Tensor

    def __init__(self, rows: NDArray[np.integer]) -> None:
        super().__init__()
        self.has_columns = rows.ndim > 1
        kinds = (np.int8, np.int16, np.int32)
        kind = next((kind for kind in kinds if np.array_equal(rows.astype(kind), rows)), np.int64)
        numbers = torch.from_numpy(rows.astype(kind))
        self.register_buffer("numbers", numbers if self.has_columns else numbers.unsqueeze(1), persistent=False)

    def forward(self, index: Int[Tensor, "*shape"]) -> Int[Tensor, ...]:
        """Return the rows at ``index``."""
        found = torch.embedding(self.numbers, index)
        return (found if self.has_columns else found.squeeze(-1)).to(torch.int64)
