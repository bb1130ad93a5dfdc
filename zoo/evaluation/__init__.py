"""Held-out metrics: how good a model's latents and reconstructions are."""
