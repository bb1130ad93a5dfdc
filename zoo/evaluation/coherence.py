"""Whether a model's translations are of the right class, as judged by classifiers trained on real values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from zoo.discovery.plugins import Plugins
from zoo.evaluation.latents import Latents, latents_of
from zoo.evaluation.metrics import metric_name
from zoo.evaluation.probing import TRAINING_ROWS, class_labels, some_of
from zoo.evaluation.subsets import by_subset
from zoo.models.batches import Rows, load_rows
from zoo.models.build import Model, parts_of
from zoo.models.graphs import as_tensors, evaluating, graph_of
from zoo.modules import Encoder, Tensors
from zoo.protocols import Graph, Modality, Sample
from zoo.recipes.naming import DECODE, ENCODE, LATENT, LOG_VAR, PRIOR, by_leaf

_STEPS, _BATCH_ROWS, _LEARNING_RATE = 600, 128, 1e-3
_DRAWN = 1000
_ROWS_AT_ONCE = 1000
_NO_CLASS = -1


def coherence(
    model: Model,
    plugins: Plugins,
    training: Sequence[Sample],
    samples: Sequence[Sample],
    rows: Rows,
    *,
    seed: int = 0,
) -> dict[str, float]:
    """Return how often an input decoded from the latent of other inputs has the class of its row.

    ``<inputs>.<label>.coherence`` is the fraction of rows, averaged over all inputs that are not given; for several
    given inputs see ``zoo.by_subset``. ``<input>.<label>.classifier`` is the accuracy of an input's judge on real
    values of ``samples``. The judge is a new encoder of the same kind as the model's with one linear layer, trained on
    ``training``. If the latent has a prior, ``prior.<label>.coherence`` is the fraction of its draws on which all
    decoders agree. Values are judged as a person sees them, after ``Modality.from_arrays``. Empty if nothing is decoded
    or no label is a class.

    Source: Shi et al. 2019, section 4.1, arXiv 1911.03393, for judging by classifiers.
    """
    with evaluating(model.objective):
        graphs = model.graphs(raw=False)
    decoders = {name: made for name in model.modalities if (made := graph_of(graphs, DECODE, target=name))}
    known = some_of(training, TRAINING_ROWS, seed=seed)
    labels = class_labels(known, samples)
    latents = {inputs: found for inputs, found in latents_of(model, rows).items() if found.output == LATENT}
    if not decoders or not labels or not latents:
        return {}
    known_rows = load_rows(known, model.modalities, where="the training rows of the classifiers")
    has_prior = any(graph.kind == ENCODE and LOG_VAR in by_leaf(graph.outputs) for graph in graphs)
    drawn = torch.randn(_DRAWN, *next(iter(latents.values())).values.shape[1:], generator=_seeded(seed))
    found: dict[str, float] = {}
    for label in labels:
        classes = _Classes.of(known, label)
        expected, known_classes = classes.numbers(samples), classes.numbers(known)
        judges: dict[str, _Judge] = {}
        for name, decoder in decoders.items():
            there, learnt = (
                _present(some, name) & (numbers != _NO_CLASS)
                for some, numbers in ((rows, expected), (known_rows, known_classes))
            )
            if not (bool(there.any()) and bool(learnt.any())):
                continue  # the accuracy of this judge could not be measured
            judges[name] = _judge(model, plugins, name, decoder, known_rows, known_classes, learnt, seed)
            found[metric_name(name, label, "classifier")] = _share(judges[name].named(rows)[there] == expected[there])
        conditional = {inputs: _conditional(inputs, given, judges, expected) for inputs, given in latents.items()}
        measured = {
            inputs: {metric_name(label, "coherence"): share}
            for inputs, share in conditional.items()
            if share is not None
        }
        found |= by_subset(list(model.modalities), measured)
        if has_prior and len(judges) > 1:
            guesses = torch.stack([judge.decoded(drawn) for judge in judges.values()])
            found[metric_name(PRIOR, label, "coherence")] = _share((guesses == guesses[0]).all(dim=0))
    return found


def _conditional(
    inputs: Sequence[str], given: Latents, judges: Mapping[str, _Judge], expected: Int64[Tensor, " row"]
) -> float | None:
    """Return the mean fraction over the inputs that are not given, None if there is none or no row to judge."""
    judged = given.known.cpu() & (expected != _NO_CLASS)
    others = [judge for name, judge in judges.items() if name not in inputs]
    if not others or not bool(judged.any()):
        return None
    shares = [_share(judge.decoded(given.values[judged]) == expected[judged]) for judge in others]
    return sum(shares) / len(shares)


@dataclass(frozen=True)
class _Classes:
    """The classes of a label, numbered."""

    label: str
    number: Mapping[str, int]

    @classmethod
    def of(cls, samples: Sequence[Sample], label: str) -> _Classes:
        names = sorted({sample.labels[label] for sample in samples if label in sample.labels})
        return cls(label, {name: place for place, name in enumerate(names)})

    def numbers(self, samples: Sequence[Sample]) -> Int64[Tensor, " row"]:
        """Return the class of each sample, -1 if it has no known class."""
        return torch.tensor([self.number.get(sample.labels.get(self.label, ""), _NO_CLASS) for sample in samples])


class _Judge:
    """Predicts the class of values of one input."""

    def __init__(self, name: str, modality: Modality, decoder: Graph, encoder: Encoder, classes: int) -> None:
        self.name = name
        self.modality = modality
        self.decoder = decoder
        self.encoder = encoder
        self.head = nn.Linear(encoder.feature_dim, classes)
        self.device = next(decoder.module.parameters()).device
        self.network = nn.ModuleList([encoder, self.head]).to(self.device)

    def logits(self, tensors: Tensors) -> Float[Tensor, "row class"]:
        """Return one score per class."""
        features = self.encoder({key: tensor.to(self.device) for key, tensor in tensors.items()})
        scores: Tensor = self.head(features)
        return scores

    def named(self, rows: Rows) -> Int64[Tensor, " row"]:
        """Return the predicted class of each row."""
        parts = torch.split(torch.arange(len(rows)), _ROWS_AT_ONCE)
        with evaluating(self.network):
            return torch.cat([self.logits(rows.take(part).inputs[self.name]).argmax(dim=1).cpu() for part in parts])

    def decoded(self, latents: Float[Tensor, "row latent"]) -> Int64[Tensor, " row"]:
        """Return the predicted class of each decoded latent."""
        found = []
        for some in torch.split(latents.to(self.device), _ROWS_AT_ONCE):
            with evaluating(self.decoder.module):
                made = by_leaf(self.decoder.module({LATENT: some}))
            arrays = {leaf: tensor.cpu().numpy() for leaf, tensor in made.items()}
            values = self.modality.to_arrays(self.modality.from_arrays(arrays))
            with evaluating(self.network):
                found.append(self.logits(as_tensors(values)).argmax(dim=1).cpu())
        return torch.cat(found)


def _judge(
    model: Model,
    plugins: Plugins,
    name: str,
    decoder: Graph,
    rows: Rows,
    classes: Int64[Tensor, " row"],
    learnt: Bool[Tensor, " row"],
    seed: int,
) -> _Judge:
    """Train a classifier of one input's values, on the rows ``learnt``."""
    there = learnt.nonzero().squeeze(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        encoder = parts_of(model.spec, model.modalities, plugins)[name].make_encoder()
        judge = _Judge(name, model.modalities[name], decoder, encoder, int(classes.max()) + 1)
    generator = _seeded(seed)
    optimiser = torch.optim.Adam(judge.network.parameters(), lr=_LEARNING_RATE)
    for _ in range(_STEPS):
        chosen = there[torch.randint(len(there), (_BATCH_ROWS,), generator=generator)]
        loss = F.cross_entropy(judge.logits(rows.take(chosen).inputs[name]), classes[chosen].to(judge.device))
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    return judge


def _present(rows: Rows, name: str) -> Bool[Tensor, " row"]:
    return torch.cat([rows.take(part).present[name] for part in torch.split(torch.arange(len(rows)), _ROWS_AT_ONCE)])


def _share(right: Bool[Tensor, " row"]) -> float:
    return right.double().mean().item()


def _seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
