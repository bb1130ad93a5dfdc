"""Every two rows compared in blocks, in parts and by several processes: the numbers are those of the plain form."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from zoo_crossmodal import blocks, shared_space
from zoo_crossmodal.alignment import Alignment
from zoo_crossmodal.blocks import Others
from zoo_crossmodal.contrastive import Contrastive
from zoo_crossmodal.infonce import InfoNCE
from zoo_crossmodal.sigmoid import Sigmoid
from zoo_crossmodal.triplet import Triplet

from zoo import Batch
from zoo.recipes.training import Training
from zoo.testing import number_batch, number_inputs
from zoo.training.cached_gradients import CachedGradients
from zoo.training.launching import accelerator_for
from zoo.training.ordering import Share

NAMES = ("caption", "picture", "sound")
COMPARING = [
    (InfoNCE, {}),
    (InfoNCE, {"learn_temperature": False, "label_smoothing": 0.1}),
    (Sigmoid, {"bias": -2.0}),
    (Contrastive, {"margin": 1.5}),
    (Triplet, {"mining": "hard", "margin": 0.7}),
    (Triplet, {"mining": "semi-hard", "margin": 0.7}),
    (Triplet, {"mining": "all", "margin": 0.7}),
]
KINDS = [*COMPARING, (Alignment, {}), (Alignment, {"guard": "reconstruction"})]
EVERY = pytest.mark.parametrize(("kind", "options"), COMPARING, ids=lambda part: getattr(part, "__name__", None))


def objective_of(kind, options, names=NAMES):
    torch.manual_seed(0)
    return kind(number_inputs(*names), 5, **options).double()


def gappy_batch(rows=11):
    """Return a batch in float64 with gaps, and values that several rows share."""
    batch = number_batch(*NAMES, rows=rows)
    present = {name: there.clone() for name, there in batch.present.items()}
    present["caption"][[1, 4]] = present["picture"][[4, 6]] = present["sound"][0] = False
    inputs = {name: {"numbers": tensors["numbers"].double()} for name, tensors in batch.inputs.items()}
    return Batch(inputs, present, {"picture": torch.tensor([0, 0, 2, 3, 4, 5, 6, 3, 8, 9, 2])}).with_clean_gaps()


def vectors(rows=20):
    generator = torch.Generator().manual_seed(0)
    drawn = (torch.randn(rows, 5, generator=generator, dtype=torch.float64) for _ in range(2))
    return [F.normalize(one, dim=1).requires_grad_() for one in drawn]


def with_gradients(objective, pair_loss, embeddings):
    """Return the losses of all rows, and the gradients of a weighted sum of them."""
    losses = pair_loss(*embeddings)
    weights = torch.linspace(0.5, 2, len(losses), dtype=torch.float64)
    own = [parameter for name, parameter in objective.named_parameters() if name in ("log_scale", "bias")]
    return [losses.detach(), *torch.autograd.grad((losses * weights).sum(), [*embeddings, *own])]


@EVERY
@pytest.mark.parametrize("size", [7, 20, 64])
def test_in_blocks_of_any_size_losses_and_gradients_are_those_of_the_whole(kind, options, size, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", size)
    objective, embeddings = objective_of(kind, options), vectors()
    whole = with_gradients(objective, objective.pair_loss, embeddings)
    found = with_gradients(objective, lambda *both: objective.pair_loss_in_blocks(*both, Others()), embeddings)
    for one, other in zip(whole, found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=0)


def test_equally_near_rows_of_several_blocks_share_the_gradient_as_in_the_whole(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", 3)
    objective = objective_of(Triplet, {"mining": "hard", "margin": 4.0})
    first, second = vectors(8)
    second = second[[0, 1, 1, 3, 1, 1, 6, 7]].detach().requires_grad_()
    whole = with_gradients(objective, objective.pair_loss, [first, second])
    found = with_gradients(objective, lambda *both: objective.pair_loss_in_blocks(*both, Others()), [first, second])
    for one, other in zip(whole, found, strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=0)


def plain_loss(objective, row, others, first, second):
    """Return the loss of one row, written down again, over the rows that are wrong answers to it."""
    similar, squared = first @ second.T, torch.cdist(first, second).square()
    if isinstance(objective, InfoNCE):
        log_probabilities = [
            (one[row, [row, *others]] * objective.log_scale.exp()).log_softmax(0) for one in (similar, similar.T)
        ]
        share = objective.label_smoothing
        return sum(-(1 - share) * one[0] - share * one.mean() for one in log_probabilities) / 2
    if isinstance(objective, Sigmoid):
        logits = similar[row] * objective.log_scale.exp() + objective.bias
        return F.softplus(-logits[row]) + F.softplus(logits[others]).sum()
    if isinstance(objective, Contrastive):
        distances = torch.cat([squared[row, others], squared[others, row]]).sqrt()
        return (squared[row, row] + (objective.margin - distances).clamp(min=0).square().mean()) / 2
    found = 0.0
    for one in (squared, squared.T):
        partner, line = one[row, row], one[row, others]
        mined = {
            "hard": line.min().reshape(1),
            "semi-hard": line[line > partner].sort().values[:1],
            "all": line[line < partner + objective.margin],
        }[objective.mining]
        found = found + (objective.margin + partner - mined).clamp(min=0).sum() / max(1, len(mined)) / 2
    return found


@EVERY
@pytest.mark.parametrize("size", [7, 64])
def test_rows_that_share_a_value_are_not_wrong_answers_to_each_other(kind, options, size, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK", size)
    objective, (first, second) = objective_of(kind, options), vectors()
    pictures, captions = torch.arange(20) // 2, torch.arange(20)
    captions[[5, 17]], captions[[0, 1]] = 17, 0
    found = objective.pair_loss_in_blocks(first, second, Others([pictures, captions]))
    for row in range(20):
        others = [n for n in range(20) if pictures[n] != pictures[row] and captions[n] != captions[row]]
        torch.testing.assert_close(found[row], plain_loss(objective, row, others, first, second), atol=1e-10, rtol=0)


@EVERY
def test_in_a_batch_captions_of_one_picture_leave_each_other_out(kind, options):
    objective, batch = objective_of(kind, options), gappy_batch()
    terms = objective.losses(batch, {}, player="model").terms
    embedded = objective.embeddings(batch, {}, player="model")
    numbers = batch.groups["picture"].tolist()
    there = {name: rows.tolist() for name, rows in batch.present.items()}
    both = [row for row in range(batch.rows) if there["caption"][row] and there["picture"][row]]
    first, second = (embedded[name][both] for name in ("caption", "picture"))
    for place, row in enumerate(both):
        others = [number for number, other in enumerate(both) if numbers[other] != numbers[row]]
        expected = plain_loss(objective, place, others, first, second)
        torch.testing.assert_close(terms["caption~picture"][row], expected, atol=1e-10, rtol=0)


@EVERY
def test_a_small_batch_whose_values_all_differ_is_compared_as_a_whole(kind, options, monkeypatch):
    def no_blocks(*_):
        raise AssertionError("compared in blocks")

    monkeypatch.setattr(kind, "pair_loss_in_blocks", no_blocks)
    objective, batch = objective_of(kind, options), dataclasses.replace(gappy_batch(), groups={})
    plain = objective.losses(batch, {}, player="model")
    apart = dataclasses.replace(batch, groups={"picture": torch.arange(batch.rows)})
    assert torch.equal(objective.losses(apart, {}, player="model").loss, plain.loss)
    monkeypatch.setattr(shared_space, "LARGEST_WHOLE", 4)
    with pytest.raises(AssertionError, match="compared in blocks"):
        objective.losses(batch, {}, player="model")


@pytest.mark.verify
def test_two_processes_have_the_gradient_of_the_whole_batch_to_the_last_digits(tmp_path):
    launcher = [Path(sys.executable).with_name("torchrun"), "--standalone", "--nproc-per-node=2"]
    command = [*launcher, __file__, tmp_path]
    subprocess.run(command, check=True, env=os.environ | {"ACCELERATE_USE_CPU": "1"}, timeout=180)
    batch = gappy_batch()
    for number, (kind, options) in enumerate(KINDS):
        objective = objective_of(kind, options)
        losses = objective.losses(batch, {}, player="model")
        expected = torch.autograd.grad(losses.loss, list(objective.parameters()))
        each = [torch.load(tmp_path / f"{number}-{process}.pt") for process in range(2)]
        assert torch.equal(torch.cat([found["rows"] for found in each]), losses.weight)
        for found in each:
            torch.testing.assert_close(found["loss"], losses.loss.detach(), atol=1e-10, rtol=0)
            for one, other in zip(found["gradients"], expected, strict=True):
                torch.testing.assert_close(one, other, atol=1e-10, rtol=0)


@pytest.mark.verify
@pytest.mark.parametrize(("objective", "rows"), [("infonce", 8_192), ("alignment", 16_384)])
def test_many_rows_take_the_memory_of_a_thousand_their_inputs_and_four_times_their_embeddings(objective, rows):
    code = f"from benchmarks.contrast import memory; print(memory({objective!r}, {rows}).ratio)"
    command = [sys.executable, "-c", f"if __name__ == '__main__': {code}"]
    root, environment = Path(__file__).parents[3], os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=500)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) <= 1


def write_gradients(folder):
    """Write this process's gradients of each kind of objective over a batch of all processes."""
    accelerator = accelerator_for(Training(), folder)
    share, batch = Share(accelerator.process_index, accelerator.num_processes), gappy_batch()
    own = batch.take(share.of(torch.arange(batch.rows)))
    for number, (kind, options) in enumerate(KINDS):
        objective = objective_of(kind, options)
        owned = list(objective.parameters())
        cached = CachedGradients(objective, objective.embeddings, 2, accelerator)
        losses = cached.backward(own, {}, player="model", parameters=owned, check=lambda losses: None)
        found = {"loss": losses.loss, "rows": losses.weight, "gradients": [parameter.grad for parameter in owned]}
        torch.save(found, folder / f"{number}-{share.process}.pt")
    accelerator.end_training()


if __name__ == "__main__":  # started by torchrun
    write_gradients(Path(sys.argv[1]))
