"""From a spec to a model: its graphs, its batches, its checkpoint."""
