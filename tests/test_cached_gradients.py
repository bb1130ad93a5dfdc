"""A batch in parts gives the gradient of the whole batch, if rows of all parts are compared."""

import dataclasses

import pytest
import torch
from torch import nn
from zoo_toy.objectives import ToyAlignment, ToyAutoencoder

from zoo.errors import UsageError
from zoo.modules import Batch, Losses
from zoo.recipes.training import Training
from zoo.testing import number_batch, number_inputs
from zoo.training.cached_gradients import CachedGradients
from zoo.training.launching import accelerator_for

NAMES = ("left", "right")


class Scaled(ToyAlignment):
    """Its scores have a learnt scale; noise moves its embeddings, and chance leaves values out."""

    def __init__(self, share=0.0):
        super().__init__(number_inputs(*NAMES), 5)
        self.scale = nn.Parameter(torch.tensor(2.0))
        self.dropout = nn.Dropout(share)

    def noise(self, rows, *, generator):
        return {"move": torch.randn(rows, 5, generator=generator)}

    def embeddings(self, batch, noise, *, player):
        made = super().embeddings(batch, noise, player=player)
        return {name: self.dropout(one) + noise["move"] for name, one in made.items()}

    def losses_of(self, embeddings, batch, noise, *, player):
        scaled = {name: one * self.scale for name, one in embeddings.items()}
        return super().losses_of(scaled, batch, noise, player=player)


def gappy(rows=8):
    batch = number_batch(*NAMES, rows=rows)
    present = {name: there.clone() for name, there in batch.present.items()}
    present["left"][2] = present["right"][5] = False
    inputs = {name: {"numbers": tensors["numbers"].double()} for name, tensors in batch.inputs.items()}
    return Batch(inputs, present)


def noise_of(objective, rows):
    drawn = objective.noise(rows, generator=torch.Generator().manual_seed(0))
    return {name: tensor.double() for name, tensor in drawn.items()}


def whole_and_in_parts(objective, batch, parts, folder):
    """Return the losses and the gradients of both."""
    owned, noise = list(objective.parameters()), noise_of(objective, batch.rows)
    torch.manual_seed(1)
    whole = objective(batch, noise, "model")
    expected = torch.autograd.grad(whole.loss, owned)
    torch.manual_seed(1)
    found = in_parts(objective, parts, folder).backward(
        batch, noise, player="model", parameters=owned, check=lambda losses: None
    )
    return (whole, expected), (found, [parameter.grad for parameter in owned])


def in_parts(objective, parts, folder):
    accelerator = accelerator_for(Training(), folder)
    return CachedGradients(objective, objective.embeddings, parts, accelerator)


@pytest.mark.parametrize("parts", [1, 2, 3, 7, 11])
def test_any_number_of_parts_gives_the_gradient_of_the_whole_to_the_last_digits(parts, tmp_path):
    torch.manual_seed(0)
    whole, found = whole_and_in_parts(Scaled().double(), gappy(), parts, tmp_path)
    for one, other in zip(whole[1], found[1], strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=0)
    torch.testing.assert_close(found[0].loss, whole[0].loss.detach())
    torch.testing.assert_close(found[0].terms["nats"], whole[0].terms["nats"].detach())
    assert found[0].weight.tolist() == whole[0].weight.tolist()


def test_dropout_leaves_out_the_same_values_in_both_passes(tmp_path):
    torch.manual_seed(0)
    whole, found = whole_and_in_parts(Scaled(share=0.5).double(), gappy(), 1, tmp_path)
    for one, other in zip(whole[1], found[1], strict=True):
        torch.testing.assert_close(one, other, atol=1e-10, rtol=0)


def test_the_losses_of_all_rows_see_which_rows_hold_equal_values_and_no_input(tmp_path):
    seen = []

    class Looking(Scaled):
        def losses_of(self, embeddings, batch, noise, *, player):
            seen.append(batch)
            return super().losses_of(embeddings, batch, noise, player=player)

    objective = Looking().double()
    batch = dataclasses.replace(gappy(), groups={"left": torch.tensor([0, 0, 2, 3, 4, 5, 6, 7])})
    in_parts(objective, 3, tmp_path).backward(
        batch,
        noise_of(objective, 8),
        player="model",
        parameters=list(objective.parameters()),
        check=lambda losses: None,
    )
    assert seen[0].inputs == {}
    assert seen[0].groups["left"].tolist() == [0, 0, 2, 3, 4, 5, 6, 7]


def test_an_objective_without_comparisons_is_not_taken_this_way(tmp_path):
    settings = Training(accumulate=2)
    objective = ToyAutoencoder(number_inputs(*NAMES), 5)
    assert CachedGradients.of(objective, settings, accelerator_for(settings, tmp_path)) is None


def test_an_objective_that_compares_rows_without_embeddings_is_taken_whole_or_refused(tmp_path):
    class Opaque(ToyAutoencoder):
        compares_rows = True

        def losses(self, batch, noise, *, player) -> Losses:
            return super().losses(batch, noise, player=player)

    objective, settings = Opaque(number_inputs(*NAMES), 5), Training(accumulate=2)
    accelerator = accelerator_for(settings, tmp_path)
    assert CachedGradients.of(objective, Training(), accelerator) is None
    with pytest.raises(UsageError) as caught:
        CachedGradients.of(objective, settings, accelerator)
    assert str(caught.value) == (
        "Opaque compares the rows of a batch, but not by embeddings that could be made in parts: training.accumulate "
        "is 2, and there are 1 processes; take one of each, or let the objective offer zoo.ComparesEmbeddings"
    )
