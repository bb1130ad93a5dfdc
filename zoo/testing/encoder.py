"""What every encoder must pass."""

from __future__ import annotations

import copy
import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from zoo.discovery.components import make_exporter
from zoo.discovery.plugins import installed
from zoo.exporting.judging import judge, make_cases
from zoo.models.graphs import encode_graph
from zoo.modules import Encoder
from zoo.protocols import Modality, TensorSpec
from zoo.testing.contract import Contract
from zoo.testing.drawing import has_padding, longer, tensors_of
from zoo.testing.edges import SIZES_OF_ENCODERS, check_edges, of_size
from zoo.testing.naming import require_finite, require_finite_gradients, require_gradients

_TOLERANCE = 1e-5


class EncoderContract(Contract):
    """Fixtures to give: ``modality``, fitted, and ``encoder``, built on it."""

    subject = "encoder"

    @pytest.fixture
    def modality(self) -> Modality:
        """Return the modality, fitted."""
        raise NotImplementedError("give a fixture 'modality' in the subclass")

    @pytest.fixture
    def encoder(self, modality: Modality) -> Encoder:
        """Return the encoder."""
        raise NotImplementedError("give a fixture 'encoder' in the subclass")

    def test_features_are_rows_of_feature_dim(self, modality: Modality, encoder: Encoder) -> None:
        """One row of ``feature_dim`` finite numbers per row of input, at every size."""
        for share in (0.0, 0.5, 1.0):
            for rows in (1, 3):
                features = encoder.eval()(tensors_of(modality, rows, share=share))
                assert features.shape == (rows, encoder.feature_dim)
                require_finite("features", features)

    def test_rows_do_not_see_each_other(self, modality: Modality, encoder: Encoder) -> None:
        """A row's features are the same alone and in a batch, in training mode too."""
        tensors = tensors_of(modality, 5)
        for module in (encoder.eval(), _without_dropout(encoder.train())):
            together = module(tensors)
            for row in range(5):
                alone = module({name: tensor[row : row + 1] for name, tensor in tensors.items()})
                torch.testing.assert_close(alone[0], together[row], atol=_TOLERANCE, rtol=_TOLERANCE)

    def test_padding_changes_nothing(self, modality: Modality, encoder: Encoder) -> None:
        """Zeros appended along a padded axis leave the features unchanged."""
        if not has_padding(modality):
            return
        tensors = tensors_of(modality, 4, share=0.3)
        torch.testing.assert_close(
            encoder.eval()(longer(modality, tensors)), encoder(tensors), atol=_TOLERANCE, rtol=_TOLERANCE
        )

    def test_a_row_of_zeros_gives_finite_features_and_gradients(self, modality: Modality, encoder: Encoder) -> None:
        """A missing value is a row of zeros."""
        zeros = {name: torch.zeros_like(tensor) for name, tensor in tensors_of(modality, 2).items()}
        features = encoder.train()(zeros)
        require_finite("features of a row of zeros", features)
        features.square().sum().backward()
        require_finite_gradients(encoder)

    def test_what_fits_float32_is_finite_in_it(self, modality: Modality, encoder: Encoder) -> None:
        """Features and gradients for small and large inputs and weights are finite if those in float64 are."""
        tensors = tensors_of(modality, 3)

        def features(module: Encoder, size: float, dtype: torch.dtype) -> dict[str, Tensor]:
            open_ended = [name for name, spec in modality.tensors.items() if math.isinf(spec.high)]
            sized = of_size(tensors, 1.0, dtype) | of_size({name: tensors[name] for name in open_ended}, size, dtype)
            return {"features": module(sized)}

        check_edges(encoder.eval(), features, doing="the encoder", sizes=SIZES_OF_ENCODERS)

    def test_every_parameter_gets_a_gradient(self, modality: Modality, encoder: Encoder) -> None:
        """No trained parameter is without effect."""
        features = encoder.train()(tensors_of(modality, 8, share=1.0))
        weights = torch.randn(features.shape, generator=torch.Generator().manual_seed(0))
        (features * weights).sum().backward()
        require_gradients(encoder)

    def test_it_works_in_float64(self, modality: Modality, encoder: Encoder) -> None:
        """The parity contract's reference is the module in float64."""
        tensors = tensors_of(modality, 3)
        doubled = {name: t.double() if t.is_floating_point() else t for name, t in tensors.items()}
        features = copy.deepcopy(encoder).double().eval()(doubled)
        assert features.dtype == torch.float64
        torch.testing.assert_close(features.float(), encoder.eval()(tensors), atol=1e-3, rtol=1e-3)

    def test_it_exports_with_parity(self, modality: Modality, encoder: Encoder, tmp_path: Path) -> None:
        """The exported file computes the same as torch, at sizes that the export never saw."""
        outputs = {"features": TensorSpec("float32", ("batch", encoder.feature_dim))}
        graph = encode_graph("input", modality, encoder.eval(), _Features(), outputs)
        exporter = make_exporter("onnx", installed())
        path = tmp_path / f"graph{exporter.suffix}"
        exporter.write(graph, path)
        verdict = judge(graph, make_cases(graph), exporter.open(graph, path), exporter.open(graph, path))
        assert verdict.worst.used <= 1


class _Features(nn.Module):
    """The head of a graph that returns the features themselves."""

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Name the features."""
        return {"features": features}


def _without_dropout(encoder: Encoder) -> Encoder:
    for module in encoder.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
    return encoder
