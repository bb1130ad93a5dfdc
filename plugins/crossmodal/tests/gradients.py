"""Run by torchrun: write this process's gradients of each kind of objective over a batch of all processes."""

import sys
from pathlib import Path

import torch
from test_blocks import KINDS, gappy_batch, objective_of

from zoo.recipes.training import Training
from zoo.training.cached_gradients import CachedGradients
from zoo.training.launching import accelerator_for
from zoo.training.ordering import Share

if __name__ == "__main__":
    folder = Path(sys.argv[1])
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
