"""Lays out a graph without positions, so that distances in the picture are like those along the edges."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_STEPS = 200
_APART = 1.5  # how much further than the longest path two nodes lie that none joins


def positions_of(nodes: int, edges: Sequence[tuple[int, int]]) -> NDArray[Any]:
    """Return x and y of each node, with edges of length about 1; the same graph always gets the same positions.

    The positions start on a circle and make the stress small, each pair weighed by the inverse square of its distance.

    Source: Gansner, Koren & North 2005, "Graph Drawing by Stress Majorization", equation 7.
    """
    turn = 2 * np.pi * np.arange(nodes) / max(nodes, 1)
    # A spiral: on a circle whose two halves mirror each other, a graph that does so too could not unfold.
    positions = (1 + 0.1 * turn)[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=1)
    if nodes < 2:
        return np.zeros((nodes, 2))
    wanted = _distances(nodes, edges)
    weights = (wanted + np.eye(nodes)) ** -2.0 * (1 - np.eye(nodes))
    laplacian = np.diag(weights.sum(axis=1)) - weights
    inverse = np.linalg.pinv(laplacian)
    for _ in range(_STEPS):
        apart = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
        pull = -weights * wanted / np.maximum(apart, 1e-9)
        positions = inverse @ ((pull - np.diag(pull.sum(axis=1))) @ positions)
    centred = positions - positions.mean(axis=0)
    turned: NDArray[Any] = centred @ np.linalg.svd(centred)[2].T  # the longer side across
    return turned


def _distances(nodes: int, edges: Sequence[tuple[int, int]]) -> NDArray[Any]:
    """Return the number of edges on the shortest path between any two nodes; more than the longest if there is none."""
    distances = np.full((nodes, nodes), np.inf)
    np.fill_diagonal(distances, 0)
    for first, second in edges:
        distances[first, second] = distances[second, first] = 1
    for middle in range(nodes):
        distances = np.minimum(distances, distances[:, middle, None] + distances[None, middle])
    reached = distances[np.isfinite(distances)].max()
    return np.where(np.isfinite(distances), distances, max(reached, 1) * _APART)
