"""What every decoder and every likelihood must pass."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from zoo.discovery.components import make_exporter
from zoo.discovery.plugins import installed
from zoo.exporting.judging import judge, make_cases
from zoo.models.folding import decode
from zoo.models.graphs import decode_graph
from zoo.modules import Decoder, Likelihood, Tensors
from zoo.protocols import Modality
from zoo.testing.contract import Contract
from zoo.testing.drawing import has_padding, longer, tensors_of
from zoo.testing.edges import check_edges, of_size
from zoo.testing.naming import require_finite, require_finite_gradients, require_gradients, require_range


class DecoderContract(Contract):
    """Fixtures to give: ``modality``, fitted, and ``decoder``, built on it."""

    subject = "decoder"

    @pytest.fixture
    def modality(self) -> Modality:
        """Return the modality, fitted."""
        raise NotImplementedError("give a fixture 'modality' in the subclass")

    @pytest.fixture
    def decoder(self, modality: Modality) -> Decoder:
        """Return the decoder."""
        raise NotImplementedError("give a fixture 'decoder' in the subclass")

    def test_the_mode_is_as_declared(self, decoder: Decoder) -> None:
        """Names, dtypes and fixed sizes are those of ``tensors``."""
        mode = decoder.eval()(_latents(decoder, 3)).mode()
        assert set(mode) == set(decoder.tensors)
        for name, spec in decoder.tensors.items():
            assert str(mode[name].dtype).removeprefix("torch.") == spec.dtype
            for axis, size in zip(spec.axes, (3, *mode[name].shape[1:]), strict=True):
                assert not isinstance(axis, int) or axis == size, name
            require_range(f"the mode's {name}", mode[name], spec)

    def test_the_likelihood_scores_each_row(self, modality: Modality, decoder: Decoder) -> None:
        """One finite number, in nats, per row, at every size of the targets."""
        for share in (0.0, 1.0):
            log_prob = decoder.eval()(_latents(decoder, 4)).log_prob(tensors_of(modality, 4, share=share))
            assert log_prob.shape == (4,)
            require_finite("log_prob", log_prob)

    def test_padding_of_the_targets_changes_nothing(self, modality: Modality, decoder: Decoder) -> None:
        """Zeros appended along a padded axis leave the likelihood unchanged."""
        if not has_padding(modality):
            return
        targets = tensors_of(modality, 4, share=0.3)
        likelihood = decoder.eval()(_latents(decoder, 4))
        torch.testing.assert_close(likelihood.log_prob(longer(modality, targets)), likelihood.log_prob(targets))

    def test_rows_do_not_see_each_other(self, modality: Modality, decoder: Decoder) -> None:
        """A row's likelihood is the same alone and in a batch."""
        latents, targets = _latents(decoder, 4), tensors_of(modality, 4)
        together = decoder.train()(latents).log_prob(targets)
        for row in range(4):
            alone = decoder(latents[row : row + 1]).log_prob({k: t[row : row + 1] for k, t in targets.items()})
            torch.testing.assert_close(alone[0], together[row], atol=1e-3, rtol=1e-5)

    def test_leading_axes_are_folded_and_given_back(self, modality: Modality, decoder: Decoder) -> None:
        """Several latents per row, decoded in one batch, give the same numbers as one by one."""
        latents, targets = _latents(decoder, 6).reshape(2, 3, -1), tensors_of(modality, 3)
        folded = decode(decoder.eval(), latents).log_prob(targets)
        assert folded.shape == (2, 3)
        for sample in range(2):
            torch.testing.assert_close(folded[sample], decoder(latents[sample]).log_prob(targets), atol=1e-3, rtol=1e-5)

    def test_an_empty_batch_has_no_scores(self, modality: Modality, decoder: Decoder) -> None:
        """A batch without rows gives no numbers, with one latent per row and with several."""
        targets = {name: tensor[:0] for name, tensor in tensors_of(modality, 2).items()}
        for leading in ((0,), (2, 0)):
            latents = torch.zeros(*leading, decoder.latent_dim)
            assert decode(decoder.eval(), latents).log_prob(targets).shape == leading

    def test_folded_modes_stand_beside_their_targets(self, modality: Modality, decoder: Decoder) -> None:
        """Each latent of a row has the row's target, computed from the tensors alone, with the shape of the mode."""
        latents, targets = _latents(decoder, 6).reshape(2, 3, -1), tensors_of(modality, 3)
        likelihood = decode(decoder.eval(), latents)
        mode, folded = likelihood.mode(), likelihood.target(targets)
        for name, target in decoder(latents[0]).target(targets).items():
            assert folded[name].shape == mode[name].shape == (2, *target.shape), name
            told = f"the target {name} depends on the latent; compute it from the tensors alone"
            torch.testing.assert_close(folded[name], torch.stack([target, target]), msg=told)

    def test_targets_of_zeros_give_finite_values_and_gradients(self, modality: Modality, decoder: Decoder) -> None:
        """A missing value is a row of zeros."""
        zeros = {name: torch.zeros_like(tensor) for name, tensor in tensors_of(modality, 2).items()}
        log_prob = decoder.train()(torch.zeros(2, decoder.latent_dim)).log_prob(zeros)
        require_finite("log_prob of a row of zeros", log_prob)
        log_prob.sum().backward()
        require_finite_gradients(decoder)

    def test_what_fits_float32_is_finite_in_it(self, modality: Modality, decoder: Decoder) -> None:
        """Scores and gradients for small and large latents and weights are finite if those in float64 are."""
        latents, targets = _latents(decoder, 3), tensors_of(modality, 3)

        def scores(module: Decoder, size: float, dtype: torch.dtype) -> dict[str, torch.Tensor]:
            return {"log_prob": module(latents.to(dtype) * size).log_prob(of_size(targets, 1.0, dtype))}

        check_edges(decoder.eval(), scores, doing="the decoder's likelihood")

    def test_every_parameter_gets_a_gradient(self, modality: Modality, decoder: Decoder) -> None:
        """No trained parameter is without effect."""
        (-decoder.train()(_latents(decoder, 4)).log_prob(tensors_of(modality, 4, share=1.0)).sum()).backward()
        require_gradients(decoder)

    def test_it_works_in_float64(self, decoder: Decoder) -> None:
        """The parity contract's reference is the module in float64."""
        latents = _latents(decoder, 2)
        double = copy.deepcopy(decoder).double().eval()(latents.double()).mode()
        for name, tensor in decoder.eval()(latents).mode().items():
            torch.testing.assert_close(double[name].to(tensor.dtype), tensor, atol=1e-3, rtol=1e-3)

    def test_it_exports_with_parity(self, decoder: Decoder, tmp_path: Path) -> None:
        """The exported file computes the same as torch, at batch sizes that the export never saw."""
        graph = decode_graph("input", decoder.eval())
        exporter = make_exporter("onnx", installed())
        path = tmp_path / f"graph{exporter.suffix}"
        exporter.write(graph, path)
        verdict = judge(graph, make_cases(graph), exporter.open(graph, path), exporter.open(graph, path))
        assert verdict.worst.used <= 1


class LikelihoodContract(Contract):
    """Fixtures to give: ``likelihood``, of three rows or more, and ``targets``, tensors of as many rows."""

    subject = "likelihood"

    @pytest.fixture
    def likelihood(self) -> Likelihood:
        """Return the likelihood."""
        raise NotImplementedError("give a fixture 'likelihood' in the subclass")

    @pytest.fixture
    def targets(self) -> Tensors:
        """Return targets, as many rows as the likelihood has."""
        raise NotImplementedError("give a fixture 'targets' in the subclass")

    def test_each_row_has_a_finite_score(self, likelihood: Likelihood, targets: Tensors) -> None:
        """One number, in nats, per row."""
        log_prob = likelihood.log_prob(targets)
        assert log_prob.shape == next(iter(targets.values())).shape[:1]
        require_finite("log_prob", log_prob)

    def test_the_target_has_the_form_of_the_mode(self, likelihood: Likelihood, targets: Tensors) -> None:
        """The target of the mode has the mode's names, shapes and dtypes, and finite values."""
        mode, target = likelihood.mode(), likelihood.target(targets)
        assert set(target) == set(mode)
        for name, tensor in mode.items():
            assert target[name].shape == tensor.shape, name
            assert target[name].dtype == tensor.dtype, name
            require_finite(f"the target {name}", target[name])

    def test_samples_have_the_form_of_the_mode(self, likelihood: Likelihood) -> None:
        """A draw has the names and shapes of the mode, and is determined by its generator."""
        mode = likelihood.mode()
        first, second = (likelihood.sample(torch.Generator().manual_seed(3)) for _ in range(2))
        for name, tensor in mode.items():
            assert first[name].shape == tensor.shape
            torch.testing.assert_close(first[name], second[name])


def _latents(decoder: Decoder, rows: int) -> torch.Tensor:
    return torch.randn(rows, decoder.latent_dim, generator=torch.Generator().manual_seed(0))
