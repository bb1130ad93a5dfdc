"""What every objective must pass."""

from __future__ import annotations

import copy
import functools
import math
from pathlib import Path

import pytest
import torch

from zoo.abilities import CountsByTerm, MeasuresAnswers
from zoo.discovery.components import make_exporter
from zoo.discovery.plugins import installed
from zoo.exporting.judging import judge, make_cases
from zoo.modules import Batch, Losses, Objective
from zoo.recipes.training import Training
from zoo.testing.contract import Contract
from zoo.testing.edges import check_edges, of_size
from zoo.testing.kinds import require_kind
from zoo.testing.naming import require_finite, require_finite_gradients, require_gradients
from zoo.training.cached_gradients import CachedGradients
from zoo.training.launching import accelerator_for

_TOLERANCE = 1e-5


class ObjectiveContract(Contract):
    """Fixtures to give: ``objective``, and ``batch`` of at least six rows without gaps (missing values)."""

    subject = "objective"

    @pytest.fixture
    def objective(self) -> Objective:
        """Return the objective."""
        raise NotImplementedError("give a fixture 'objective' in the subclass")

    @pytest.fixture
    def batch(self) -> Batch:
        """Return a batch of at least six rows without gaps."""
        raise NotImplementedError("give a fixture 'batch' in the subclass")

    def test_the_loss_is_finite_and_every_term_has_a_value_a_row(self, objective: Objective, batch: Batch) -> None:
        """One scalar to minimise; terms and weight as long as the batch."""
        losses = _losses(objective, batch)
        assert losses.loss.shape == ()
        require_finite("the loss", losses.loss)
        assert losses.terms
        for name, term in losses.terms.items():
            assert term.shape == (batch.rows,), name
            require_finite(f"the term {name}", term)
        assert losses.weight.shape == (batch.rows,)
        for name, rows in losses.rows.items():
            assert name in losses.terms, (
                f"rows of {name!r}, which is not a term; the terms are {', '.join(losses.terms)}"
            )
            assert rows.shape == (batch.rows,), name

    def test_the_players_own_every_parameter_once(self, objective: Objective) -> None:
        """Every parameter is trained by exactly one player."""
        owned = [id(parameter) for parameters in objective.players().values() for parameter in parameters]
        assert sorted(owned) == sorted(id(p) for p in objective.parameters() if p.requires_grad)

    def test_every_parameter_gets_a_gradient(self, objective: Objective, batch: Batch) -> None:
        """No trained parameter is without effect."""
        for player, parameters in objective.players().items():
            objective.zero_grad()
            _losses(objective, batch, player=player).loss.backward()
            require_gradients(objective, parameters)

    def test_what_fits_float32_is_finite_in_it(self, objective: Objective, batch: Batch) -> None:
        """Losses and gradients for small and large inputs and weights are finite if those in float64 are."""
        noise = objective.noise(batch.rows, generator=torch.Generator().manual_seed(0))

        def losses(module: Objective, size: float, dtype: torch.dtype, *, player: str) -> dict[str, torch.Tensor]:
            inputs = {name: of_size(tensors, size, dtype) for name, tensors in batch.inputs.items()}
            found: Losses = module(Batch(inputs, batch.present), of_size(noise, 1.0, dtype), player)
            return {"loss": found.loss, **{f"the term {name}": term for name, term in found.terms.items()}}

        for player in objective.players():
            check_edges(objective.train(), functools.partial(losses, player=player), doing="the objective")

    def test_keeping_bounds_changes_no_parameter_that_is_within_them(self, objective: Objective) -> None:
        """A fresh model stays unchanged; parameters far outside of their bounds move to values that then stay."""
        kept = copy.deepcopy(objective)
        kept.keep_bounds()
        for name, parameter in objective.named_parameters():
            assert torch.equal(kept.get_parameter(name), parameter), name
        with torch.no_grad():
            for parameter in kept.parameters():
                parameter.add_(torch.where(parameter < 0, -1e3, 1e3))
        owned = {name: parameter for name, parameter in kept.named_parameters()}
        kept.keep_bounds()
        once = copy.deepcopy(kept)
        kept.keep_bounds()
        for name, parameter in kept.named_parameters():
            assert parameter is owned[name], f"{name} is another parameter now; change it in place"
            assert torch.equal(parameter, once.get_parameter(name)), name

    def test_steps_lower_the_loss(self, objective: Objective, batch: Batch) -> None:
        """Sixty steps on one batch learn something."""
        trained = copy.deepcopy(objective).train()
        if len(trained.players()) > 1:
            return
        optimiser = torch.optim.Adam(trained.parameters(), lr=3e-3)
        first = _losses(trained, batch).loss.item()
        for _ in range(60):
            loss = _losses(trained, batch).loss
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        assert _losses(trained, batch).loss.item() < first

    def test_a_step_follows_from_its_arguments(self, objective: Objective, batch: Batch) -> None:
        """All randomness comes from the noise."""
        first, second = (_losses(objective, batch).loss for _ in range(2))
        torch.testing.assert_close(first, second, atol=0, rtol=0)

    def test_what_stands_in_a_gap_changes_no_loss_and_no_gradient(self, objective: Objective, batch: Batch) -> None:
        """NaN or the largest numbers in place of a missing value change nothing."""
        name = next(iter(batch.inputs))
        gappy = _with_gap(batch, name, row=2)
        poisoned = {
            key: tensor.index_fill(0, torch.tensor([2]), math.nan if tensor.is_floating_point() else 1)
            for key, tensor in batch.inputs[name].items()
        }
        results = []
        for version in (gappy, Batch({**gappy.inputs, name: poisoned}, gappy.present)):
            objective.zero_grad()
            losses = _losses(objective, version)
            losses.loss.backward()
            gradients = [p.grad.clone() for p in objective.parameters() if p.grad is not None]
            results.append([losses.loss.detach(), *gradients])
        for one, other in zip(*results, strict=True):
            require_finite("the loss or a gradient beside a gap", one)
            torch.testing.assert_close(one, other, atol=0, rtol=0)

    def test_a_row_with_nothing_present_leaves_the_loss_of_the_others(self, objective: Objective, batch: Batch) -> None:
        """The batch's loss is that of the batch without the row."""
        gappy = batch
        for name in batch.inputs:
            gappy = _with_gap(gappy, name, row=batch.rows - 1)
        noise = objective.noise(batch.rows, generator=torch.Generator().manual_seed(0))
        shorter = batch.take(torch.arange(batch.rows - 1))
        short_noise = {name: tensor[:-1] for name, tensor in noise.items()}
        for player in objective.players():
            full = objective.train()(gappy, noise, player).loss
            rest = objective(shorter, short_noise, player).loss
            torch.testing.assert_close(full, rest, atol=_TOLERANCE, rtol=_TOLERANCE)

    def test_a_batch_with_nothing_present_is_finite(self, objective: Objective, batch: Batch) -> None:
        """It has a loss without NaN, and gradients without NaN."""
        nothing = Batch(batch.inputs, {name: torch.zeros_like(there) for name, there in batch.present.items()})
        objective.zero_grad()
        loss = _losses(objective, nothing).loss
        require_finite("the loss of a batch with nothing present", loss)
        if loss.requires_grad:
            loss.backward()
        require_finite_gradients(objective)

    def test_the_loss_of_a_batch_follows_from_its_parts(self, objective: Objective, batch: Batch) -> None:
        """It is the mean over the rows that count or, for a ``CountsByTerm``, the sum of the means of its terms."""
        gappy = batch
        for row, name in enumerate(batch.inputs):
            gappy = _with_gap(gappy, name, row=row)
        noise = objective.noise(batch.rows, generator=torch.Generator().manual_seed(0))
        for player in objective.players():
            whole = objective.eval()(gappy, noise, player)
            if isinstance(objective, CountsByTerm):
                counted = objective.counted(gappy, player=player)
                assert counted.keys() == whole.terms.keys()
                assert all(torch.equal(rows.bool(), whole.rows_of(name).bool()) for name, rows in counted.items())
                means = [whole.terms[name].sum() / max(1.0, float(rows.sum())) for name, rows in counted.items()]
                torch.testing.assert_close(whole.loss, torch.stack(means).sum(), atol=_TOLERANCE, rtol=_TOLERANCE)
            elif not objective.compares_rows:
                parts = [
                    objective(gappy.take(index), {name: tensor[index] for name, tensor in noise.items()}, player)
                    for index in torch.arange(batch.rows).tensor_split([2])
                ]
                summed = torch.stack([part.loss * part.weight.sum() for part in parts]).sum()
                rows = torch.stack([part.weight.sum() for part in parts]).sum()
                torch.testing.assert_close(summed / rows.clamp(min=1), whole.loss, atol=1e-3, rtol=_TOLERANCE)

    def test_a_batch_in_parts_has_the_gradient_of_the_whole(
        self, objective: Objective, batch: Batch, tmp_path: Path
    ) -> None:
        """An objective that compares rows is a ``ComparesEmbeddings``: rows of all parts are compared."""
        if not objective.compares_rows:
            return
        exact = copy.deepcopy(objective).double().train()
        noise = of_size(exact.noise(batch.rows, generator=torch.Generator().manual_seed(0)), 1.0, torch.float64)
        inputs = {name: of_size(tensors, 1.0, torch.float64) for name, tensors in batch.inputs.items()}
        gappy = Batch(inputs, batch.present)
        for row, name in enumerate(inputs):
            gappy = _with_gap(gappy, name, row=row)
        for player, owned in exact.players().items():
            exact.zero_grad()
            exact(gappy, noise, player).loss.backward()
            whole = [None if parameter.grad is None else parameter.grad.clone() for parameter in owned]
            for parts in (2, batch.rows - 1):
                exact.zero_grad()
                settings = Training(batch_size=batch.rows, accumulate=parts)
                cached = CachedGradients.of(exact, settings, accelerator_for(settings, tmp_path))
                assert cached is not None
                cached.backward(gappy, noise, player=player, parameters=owned, check=lambda losses: None)
                for parameter, expected in zip(owned, whole, strict=True):
                    torch.testing.assert_close(parameter.grad, expected, atol=1e-10, rtol=1e-10)

    def test_rows_are_independent_unless_declared_otherwise(self, objective: Objective, batch: Batch) -> None:
        """Each row's terms are the same in a smaller batch, if the objective does not compare rows."""
        if objective.compares_rows:
            return
        noise = objective.noise(batch.rows, generator=torch.Generator().manual_seed(0))
        index = torch.arange(3)
        for player in objective.players():
            full = objective.eval()(batch, noise, player)
            part = objective(batch.take(index), {name: tensor[:3] for name, tensor in noise.items()}, player)
            for name, term in part.terms.items():
                torch.testing.assert_close(term, full.terms[name][:3], atol=1e-3, rtol=_TOLERANCE)

    def test_metrics_are_finite_numbers_that_can_be_measured_again(self, objective: Objective, batch: Batch) -> None:
        """The same batches and seed give the same numbers."""
        with torch.no_grad():
            first, second = (
                objective.eval().metrics(
                    [batch, batch.take(torch.arange(2))], generator=torch.Generator().manual_seed(0)
                )
                for _ in range(2)
            )
        assert first == second
        assert first
        assert all(math.isfinite(value) for value in first.values()), first

    def test_metrics_by_the_answers_of_graphs_are_those_of_the_model(self, objective: Objective, batch: Batch) -> None:
        """Metrics computed from deployed graphs agree with ``metrics`` under the same names; gaps are left out."""
        if not isinstance(objective, MeasuresAnswers):
            return
        graphs = {graph.name: graph.module for graph in objective.eval().graphs()}
        batches = [batch, _with_gap(batch, next(iter(batch.present)), row=1)]
        with torch.no_grad():
            answers = objective.answer_metrics(batches, lambda name, tensors: graphs[name](tensors))
            own = objective.metrics(batches, generator=torch.Generator().manual_seed(0))
        assert all(math.isfinite(value) for value in answers.values()), answers
        assert {name: answers[name] for name in answers if name in own} == pytest.approx(
            {name: own[name] for name in own if name in answers}, rel=_TOLERANCE
        )

    def test_every_graph_is_what_it_says(self, objective: Objective, batch: Batch) -> None:
        """Its kind, and the inputs that it reads and makes, fit its tensors; all names are different."""
        graphs = list(objective.eval().graphs())
        names = [graph.name for graph in graphs]
        assert len(set(names)) == len(names), f"graphs need different names, got {', '.join(names)}"
        for graph in graphs:
            require_kind(graph, list(batch.inputs))

    def test_every_graph_exports_with_parity(self, objective: Objective, tmp_path: Path) -> None:
        """Each deployable function computes the same in the exported file as in torch."""
        exporter = make_exporter("onnx", installed())
        names = set()
        for graph in objective.eval().graphs():
            path = tmp_path / f"{graph.name}{exporter.suffix}"
            exporter.write(graph, path)
            judge(graph, make_cases(graph), exporter.open(graph, path), exporter.open(graph, path))
            names.add(graph.name)
        assert names


def _losses(objective: Objective, batch: Batch, *, player: str | None = None) -> Losses:
    noise = objective.noise(batch.rows, generator=torch.Generator().manual_seed(0))
    losses: Losses = objective.train()(batch, noise, player or next(iter(objective.players())))
    return losses


def _with_gap(batch: Batch, name: str, *, row: int) -> Batch:
    there = batch.present[name].clone()
    there[row] = False
    return Batch(batch.inputs, {**batch.present, name: there})
