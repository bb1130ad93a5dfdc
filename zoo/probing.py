"""What the latent of a model tells of the samples' labels: nearest neighbours and a linear classifier.

Neither the objective nor the modality is known here: whatever a graph ``encode_<input>`` calls ``latent`` or
``embedding`` is probed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from zoo.loading import Rows, in_order, load_rows
from zoo.model import Model
from zoo.protocols import Graph, Sample

TRAINING_ROWS = 10_000
NEIGHBOURS = 20
L2 = 1e-4
_BATCH_ROWS = 256
_COMPARED_AT_ONCE = 1024
_LBFGS_STEPS = 200
_ENCODE = "encode_"
_PROBED = ("latent", "embedding")


def probed(
    model: Model, training: Sequence[Sample], samples: Sequence[Sample], rows: Rows, *, seed: int = 0
) -> dict[str, float]:
    """Return accuracies by ``<input>.<output>.<label>.<probe>``, for every encoder's latent and every label.

    ``knn@20`` is that of ``k_nearest``, ``probe`` that of ``linear_probe``, and ``chance`` that of naming always the
    commonest class of the training rows. They are fitted on at most 10,000 of the samples ``training``, drawn by
    ``seed``, and measured on ``samples``, whose tensors are ``rows``. A class that no training row has counts as
    missed. Labels that are constant, that are new with nearly every sample, or whose classes all are new to the
    measured rows, are left out, and so are rows without the input or the label.
    """
    drawn = torch.randperm(len(training), generator=torch.Generator().manual_seed(seed))[:TRAINING_ROWS]
    known = [training[place] for place in drawn.sort().values.tolist()]
    labels = [label for label in _labels(samples) if _is_class(known, label)]
    graphs = [(graph, output) for graph in model.graphs() if (output := _probed_output(graph))] if labels else []
    measured: dict[str, float] = {}
    if not graphs:
        return measured
    known_rows = load_rows(known, model.modalities, where="the training rows of the probe")
    for graph, output in graphs:
        input_name = graph.name.removeprefix(_ENCODE)
        fitted, found = (_encoded(model, graph, output, some) for some in (known_rows, rows))
        for label in labels:
            results = _compared(fitted, _classes(known, input_name, label), found, _classes(samples, input_name, label))
            prefix = f"{input_name}.{output.rpartition('.')[-1]}.{label}"
            measured |= {f"{prefix}.{name}": value for name, value in results.items()}
    return measured


def k_nearest(
    training: Float[Tensor, "known latent"],
    classes: Int64[Tensor, " known"],
    latent: Float[Tensor, "row latent"],
    k: int = NEIGHBOURS,
) -> Int64[Tensor, " row"]:
    """Return the class that most of the ``k`` nearest training rows have, by Euclidean distance.

    Of classes with as many neighbours, the one with the nearest of them is taken.
    """
    k = min(k, len(training))
    # A neighbour adds more than all that are farther, and all together less than one vote.
    weight = 1 + 0.5 ** torch.arange(1, k + 1, dtype=torch.float64, device=latent.device)
    found = []
    for some in torch.split(latent, _COMPARED_AT_ONCE):
        nearest = classes[torch.cdist(some, training).topk(k, largest=False, sorted=True).indices]
        votes = torch.zeros(len(some), int(classes.max()) + 1, dtype=torch.float64, device=latent.device)
        found.append(votes.scatter_add(1, nearest, weight.expand(len(some), k)).argmax(dim=1))
    return torch.cat(found)


def linear_probe(
    training: Float[Tensor, "known latent"],
    classes: Int64[Tensor, " known"],
    latent: Float[Tensor, "row latent"],
    l2: float = L2,
) -> Int64[Tensor, " row"]:
    """Return the classes that a multinomial logistic regression names, fitted by L-BFGS in float64 from zero.

    Dimensions are scaled to mean zero and variance one over the training rows; one that is constant there counts for
    nothing. The loss is the mean cross-entropy plus half of ``l2`` times the sum of the squared weights, the bias
    excepted.
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
    training: Tensor, training_classes: Sequence[str | None], latent: Tensor, classes: Sequence[str | None]
) -> dict[str, float]:
    """Return what the probes reach on the rows that have a class, or nothing where no row can be judged."""
    names = sorted({name for name in training_classes if name is not None})
    number = {name: place for place, name in enumerate(names)}
    known = [place for place, name in enumerate(training_classes) if name is not None]
    judged = [place for place, name in enumerate(classes) if name is not None]
    if len(names) < 2 or not any(name in number for name in classes):
        return {}
    fitted = training[known]
    fitted_classes = torch.tensor([number[str(training_classes[place])] for place in known], device=latent.device)
    rows = latent[judged]
    expected = torch.tensor([number.get(str(classes[place]), -1) for place in judged], device=latent.device)
    named = {
        f"knn@{NEIGHBOURS}": k_nearest(fitted, fitted_classes, rows),
        "probe": linear_probe(fitted, fitted_classes, rows),
        "chance": fitted_classes.bincount().argmax().expand(len(rows)),
    }
    return {name: (guess == expected).double().mean().item() for name, guess in named.items()}


@torch.no_grad()
def _encoded(model: Model, graph: Graph, output: str, rows: Rows) -> Float[Tensor, "row latent"]:
    """Return the latent of every row; one without the input has that of zeros."""
    objective, input_name = model.objective, graph.name.removeprefix(_ENCODE)
    training, device = objective.training, next(objective.parameters()).device

    def latents() -> Iterator[Tensor]:
        for batch in in_order(rows, torch.arange(len(rows)), _BATCH_ROWS):
            tensors = batch.to(device).with_clean_gaps().inputs[input_name]
            yield graph.module({f"{input_name}.{name}": tensor for name, tensor in tensors.items()})[output]

    try:
        objective.eval()
        graph.module.eval()
        return torch.cat(list(latents()))
    finally:
        objective.train(training)


def _probed_output(graph: Graph) -> str:
    """Return the output of an encoder that is probed, empty where it has none or the graph is no encoder."""
    if not graph.name.startswith(_ENCODE):
        return ""
    return next((name for name in graph.outputs if name.rpartition(".")[-1] in _PROBED), "")


def _labels(samples: Sequence[Sample]) -> list[str]:
    return sorted({label for sample in samples for label in sample.labels})


def _classes(samples: Sequence[Sample], input_name: str, label: str) -> list[str | None]:
    """Return the class of each sample, none where the label or the input is missing."""
    return [sample.labels.get(label) if sample.inputs.get(input_name) is not None else None for sample in samples]


def _is_class(samples: Sequence[Sample], label: str) -> bool:
    """Tell whether a label parts the samples into classes of two and more on average, rather than naming each."""
    counts = Counter(sample.labels[label] for sample in samples if label in sample.labels)
    return 1 < len(counts) <= counts.total() / 2
