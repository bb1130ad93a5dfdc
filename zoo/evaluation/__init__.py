"""Held-out metrics: what a model's latents and reconstructions are worth."""
