"""Models of three inputs of numbers, and a batch with every pattern of gaps."""

import torch
from zoo_joint.experts import subsets_of

from zoo import Batch
from zoo.testing import number_batch, number_inputs

NAMES = ("caption", "picture", "sound")
# Every subset of three inputs, the empty one last.
PATTERNS = torch.cat([subsets_of(3), torch.zeros(1, 3, dtype=torch.bool)])


def a_model(kind, options, names=NAMES):
    torch.manual_seed(0)
    return kind(number_inputs(*names), 5, **options)


def noise_of(model, rows):
    return model.noise(rows, generator=torch.Generator().manual_seed(0))


def gappy():
    batch = number_batch(*NAMES, rows=len(PATTERNS))
    return Batch(batch.inputs, {name: PATTERNS[:, place] for place, name in enumerate(NAMES)})


def normal(mean, log_var):
    return torch.distributions.Normal(mean, (0.5 * log_var).exp())
