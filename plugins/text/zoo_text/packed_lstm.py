"""An LSTM that stops at each row's end, as our own operator, which exporters can translate.

torch packs rows of unequal length, which no exporter supports; without packing, states depend on the padding. So the
packed layer is one operator, ``zoo_text::packed_lstm``, and each exporter has its own translation of it. In ONNX it is
``LSTM`` with ``sequence_lens``.
"""

from collections.abc import Sequence
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

PARAMETERS = 4  # of one direction: weights of the input and of the state, and their biases


class PackedLSTM(nn.Module):
    """One layer of an LSTM over rows of unequal length: the states up to a row's end, zeros after it.

    In both directions if ``bidirectional``; the second half of each state is then that of the backward direction, which
    starts at the row's own end.

    Source: Hochreiter & Schmidhuber 1997, "Long Short-Term Memory"; the gates and their biases as in torch.nn.LSTM.
    """

    def __init__(self, input_width: int, width: int, *, bidirectional: bool = False) -> None:
        super().__init__()
        self.width = width
        self.bidirectional = bidirectional
        self.lstm = nn.LSTM(input_width, width, batch_first=True, bidirectional=bidirectional)

    def forward(
        self, sequence: Float[Tensor, "batch token input"], lengths: Int[Tensor, " batch"]
    ) -> Float[Tensor, "batch token state"]:
        """Return the states; ``lengths`` are at least 1."""
        weights: list[Tensor] = list(self.lstm.parameters())
        # The operator has no gradient, which an export does not need.
        run = torch.ops.zoo_text.packed_lstm if torch.compiler.is_exporting() else run_packed
        states: Tensor = run(sequence.to(weights[0].dtype), lengths, weights, self.width, self.bidirectional)
        return states


def run_packed(sequence: Tensor, lengths: Tensor, weights: list[Tensor], width: int, bidirectional: bool) -> Tensor:
    """Return the states of one layer; ``weights`` are in the order of torch.nn.LSTM's parameters."""
    packed = pack_padded_sequence(sequence, lengths.cpu(), batch_first=True, enforce_sorted=False)
    start = packed.data.new_zeros(1 + bidirectional, len(sequence), width)
    states, _, _ = torch.lstm(
        packed.data, packed.batch_sizes, (start, start), weights, True, 1, 0.0, False, bidirectional
    )
    unpacked = PackedSequence(states, packed.batch_sizes, packed.sorted_indices, packed.unsorted_indices)
    return pad_packed_sequence(unpacked, batch_first=True, total_length=sequence.shape[1])[0]


@torch.library.custom_op("zoo_text::packed_lstm", mutates_args=())
def _operator(sequence: Tensor, lengths: Tensor, weights: list[Tensor], width: int, bidirectional: bool) -> Tensor:
    return run_packed(sequence, lengths, weights, width, bidirectional).contiguous()


@_operator.register_fake
def _(sequence: Tensor, lengths: Tensor, weights: list[Tensor], width: int, bidirectional: bool) -> Tensor:
    return sequence.new_empty(sequence.shape[0], sequence.shape[1], width * (1 + bidirectional))


def in_onnx(sequence: Any, lengths: Any, weights: Sequence[Any], width: int, bidirectional: bool) -> Any:
    """Write the operator as ONNX ``LSTM`` with ``sequence_lens``."""
    from onnxscript import opset18  # only if an exporter of ONNX is installed

    op: Any = opset18  # constants may stand for values, which its annotations do not state

    def onnx_gates(gates: Any) -> Any:
        """Return i, f, g, o, the gates as torch has them, as i, o, f, g."""
        i, f, g, o = op.Split(gates, num_outputs=4, axis=0)
        return op.Concat(i, o, f, g, axis=0)

    parts: list[list[Any]] = [[], [], []]
    for place in range(0, len(weights), PARAMETERS):
        of_input, of_state, *biases = map(onnx_gates, weights[place : place + PARAMETERS])
        for part, of_direction in zip(parts, (of_input, of_state, op.Concat(*biases, axis=0)), strict=True):
            part.append(op.Unsqueeze(of_direction, [0]))
    states, _, _ = op.LSTM(
        op.Transpose(sequence, perm=[1, 0, 2]),
        *(op.Concat(*part, axis=0) for part in parts),
        op.Cast(lengths, to=6),  # int32
        hidden_size=width,
        direction="bidirectional" if bidirectional else "forward",
    )
    # (token, direction, batch, width) to (batch, token, state)
    return op.Reshape(op.Transpose(states, perm=[2, 0, 1, 3]), [0, 0, -1])
