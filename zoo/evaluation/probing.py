"""How well the samples' labels can be predicted from the latent: by nearest neighbours and by a linear classifier."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from zoo.evaluation.latents import Latents, latents_of
from zoo.evaluation.metrics import metric_name
from zoo.evaluation.subsets import by_subset
from zoo.models.batches import Rows, load_rows
from zoo.models.build import Model
from zoo.protocols import Sample

TRAINING_ROWS = 10_000
NEIGHBOURS = 20
L2 = 1e-4
TIE = 1e-9
_COMPARED_AT_ONCE = 256
_LBFGS_STEPS = 200


def probed(
    model: Model, training: Sequence[Sample], samples: Sequence[Sample], rows: Rows, *, seed: int = 0
) -> dict[str, float]:
    """Return accuracies by ``<inputs>.<output>.<label>.<probe>``, for every latent and every label that is a class.

    The latents are those of ``zoo.evaluation.latents``; for several inputs there is one per subset, see
    ``zoo.by_subset``. ``knn@20`` is the accuracy of ``k_nearest``, ``probe`` that of ``linear_probe``, and ``chance``
    that of always predicting the most common class of the training rows. Probes are fitted on at most 10,000 of the
    samples ``training``, drawn by ``seed``, and measured on ``samples``, whose tensors are ``rows``. A class without
    training rows counts as missed. A label is left out if it is constant, if nearly every sample has its own
    value, or if no measured row has a class known from training. Rows without the inputs or the label are left out,
    too.
    """
    known = some_of(training, TRAINING_ROWS, seed=seed)
    labels = class_labels(known, samples)
    if not labels:
        return {}
    fitted = latents_of(model, load_rows(known, model.modalities, where="the training rows of the probe"))
    found = latents_of(model, rows)
    measured = {
        inputs: {
            metric_name(latents.output, label, name): value
            for label in labels
            for name, value in _compared(
                fitted[inputs], _classes(known, label), latents, _classes(samples, label)
            ).items()
        }
        for inputs, latents in found.items()
    }
    return by_subset(list(model.modalities), measured)


def some_of(samples: Sequence[Sample], count: int, *, seed: int) -> list[Sample]:
    """Return at most ``count`` of the samples, drawn by ``seed``, in their own order."""
    drawn = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))[:count]
    return [samples[place] for place in drawn.sort().values.tolist()]


def class_labels(training: Sequence[Sample], samples: Sequence[Sample]) -> list[str]:
    """Return the labels of ``samples`` that divide the training samples into classes, instead of naming each sample.

    A class has at least two samples on average.
    """

    def is_class(label: str) -> bool:
        counts = Counter(sample.labels[label] for sample in training if label in sample.labels)
        return 1 < len(counts) <= counts.total() / 2

    return [label for label in sorted({label for sample in samples for label in sample.labels}) if is_class(label)]


def k_nearest(
    training: Float[Tensor, "known latent"],
    classes: Int64[Tensor, " known"],
    latent: Float[Tensor, "row latent"],
    k: int = NEIGHBOURS,
) -> Int64[Tensor, " row"]:
    """Return the most common class among the ``k`` nearest training rows, by Euclidean distance.

    Distances are computed from differences in float64; those that differ by at most a billionth, relative to their
    size, are equal. Rows as far away as the ``k``-th one count as well, so that the order of the training rows has no
    effect. If classes have equally many neighbours, the class of the nearest of these is taken, or else the first
    class.
    """
    k = min(k, len(training))
    known = training.double()
    member = torch.nn.functional.one_hot(classes).double()
    found = []
    for some in torch.split(latent.double(), _COMPARED_AT_ONCE):
        # Not by matrix products: these lose the small differences between latents far from zero.
        distances = torch.cdist(some, known, compute_mode="donot_use_mm_for_euclid_dist")
        farthest = distances.topk(k, largest=False).values[:, -1:]
        votes = (distances <= farthest * (1 + TIE)).double() @ member
        nearest = torch.full_like(votes, torch.inf).scatter_reduce(1, classes.expand(len(some), -1), distances, "amin")
        nearest = nearest.masked_fill(votes < votes.amax(dim=1, keepdim=True), torch.inf)
        found.append((nearest <= nearest.amin(dim=1, keepdim=True) * (1 + TIE)).int().argmax(dim=1))
    return torch.cat(found)


def linear_probe(
    training: Float[Tensor, "known latent"],
    classes: Int64[Tensor, " known"],
    latent: Float[Tensor, "row latent"],
    l2: float = L2,
) -> Int64[Tensor, " row"]:
    """Return the predictions of a multinomial logistic regression, fitted by L-BFGS in float64 from zero.

    With features xᵢ, classes yᵢ, weights W and bias b, the loss is:

        loss = mean over i of cross_entropy(xᵢ W + b, yᵢ) + l2 / 2 · Σ W²

    Features are latents scaled to mean zero and variance one over the training rows; a dimension that is constant there
    is ignored.
    """
    double = training.double()
    mean, deviation = double.mean(dim=0), double.std(dim=0, correction=0)
    scale = torch.where(deviation > 1e-9 * (1 + mean.abs()), 1 / deviation, 0)
    features = (double - mean) * scale
    weight = torch.zeros(features.shape[1], int(classes.max()) + 1, dtype=torch.float64, device=features.device)
    bias = torch.zeros_like(weight[0])
    parameters = [weight.requires_grad_(), bias.requires_grad_()]
    optimiser = torch.optim.LBFGS(parameters, max_iter=_LBFGS_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = torch.nn.functional.cross_entropy(features @ weight + bias, classes) + l2 / 2 * weight.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    with torch.enable_grad():
        optimiser.step(loss)  # type: ignore[no-untyped-call]
    return ((latent.double() - mean) * scale @ weight.detach() + bias.detach()).argmax(dim=1)


def _compared(
    training: Latents, training_classes: Sequence[str | None], latents: Latents, classes: Sequence[str | None]
) -> dict[str, float]:
    """Return the accuracies of the probes on the rows that have a class, or nothing if no row can be judged."""
    known, judged = (
        [place for place, name in enumerate(named) if name is not None and known[place]]
        for named, known in ((training_classes, training.known.tolist()), (classes, latents.known.tolist()))
    )
    names = sorted({str(training_classes[place]) for place in known})
    number = {name: place for place, name in enumerate(names)}
    if len(names) < 2 or not any(classes[place] in number for place in judged):
        return {}
    device = latents.values.device
    fitted_classes = torch.tensor([number[str(training_classes[place])] for place in known], device=device)
    fitted, rows = training.values[known], latents.values[judged]
    expected = torch.tensor([number.get(str(classes[place]), -1) for place in judged], device=device)
    named = {
        f"knn@{NEIGHBOURS}": k_nearest(fitted, fitted_classes, rows),
        "probe": linear_probe(fitted, fitted_classes, rows),
        "chance": fitted_classes.bincount().argmax().expand(len(rows)),
    }
    return {name: (guess == expected).double().mean().item() for name, guess in named.items()}


def _classes(samples: Sequence[Sample], label: str) -> list[str | None]:
    return [sample.labels.get(label) for sample in samples]
