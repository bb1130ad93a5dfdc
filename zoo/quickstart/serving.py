"""Answers queries and reconstructs pictures from two bundles, without torch; run in a separate process.

``python -m zoo.quickstart.serving SEARCH_BUNDLE PICTURE_BUNDLE FOLDER QUERY...`` writes pictures into FOLDER and prints
the results as JSON.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from zoo.discovery.components import make_dataset
from zoo.discovery.plugins import installed
from zoo.protocols import Sample
from zoo.runtime.bundle import Bundle, open_bundle

_ANSWERS = 6
_RECONSTRUCTED = 10
_MAPPED = 600
_MAP_PIXELS = 672
_ROWS = 256


def main(search: str, pictures: str, folder: str, *queries: str) -> None:
    """Write the pictures and print the answers."""
    served = {
        "answers": answer(open_bundle(search), queries, Path(folder)),
        **reconstruct(open_bundle(pictures), Path(folder)),
        "torch_imported": "torch" in sys.modules,
    }
    print(json.dumps(served, ensure_ascii=False))


def answer(bundle: Bundle, queries: Sequence[str], folder: Path) -> list[dict[str, Any]]:
    """Return the nearest emoji of each query, among all emoji of the entry's data."""
    dataset = make_dataset(bundle.recipe.data, installed())
    found: dict[str, Sample] = {}
    for split in ("train", "validation", "test"):
        for sample in dataset.split(split):
            found.setdefault(sample.labels["emoji"], sample)
    seen = {sample.labels["emoji"] for sample in dataset.split("train")}
    samples = list(found.values())
    gallery = np.concatenate(
        [
            bundle.run("encode_picture", {"picture": [s.inputs["picture"] for s in samples[start : start + _ROWS]]})[
                "encode_picture.embedding"
            ]
            for start in range(0, len(samples), _ROWS)
        ]
    )
    bundle.run("encode_caption", {"caption": queries[:1]})  # loads the graph and the vocabulary before the clock starts
    answers = []
    for number, query in enumerate(queries):
        start = time.perf_counter()
        embedding = bundle.run("encode_caption", {"caption": [query]})["encode_caption.embedding"][0]
        best = np.argsort(-(gallery @ embedding), kind="stable")[:_ANSWERS]
        took_ms = (time.perf_counter() - start) * 1e3
        hits = []
        for place, row in enumerate(best):
            file = f"answer-{number}-{place}.png"
            bundle.modality("picture").draw(samples[row].inputs["picture"]).save(folder / file)
            emoji = samples[row].labels["emoji"]
            hits.append({"emoji": emoji, "name": samples[row].inputs["caption"], "seen": emoji in seen, "file": file})
        answers.append({"query": query, "milliseconds": took_ms, "hits": hits})
    return answers


def reconstruct(bundle: Bundle, folder: Path) -> dict[str, Any]:
    """Reconstruct held-out pictures and lay others out by their latent; return the files."""
    samples = make_dataset(bundle.recipe.data, installed()).split("test")
    modality = bundle.modality("picture")
    originals = [sample.inputs["picture"] for sample in samples[:_RECONSTRUCTED]]
    made = bundle.run("reconstruct_picture", {"picture": originals})["reconstruct_picture.intensity"]
    pairs = [*(modality.draw(value) for value in originals), *modality.from_arrays({"intensity": made})]
    _grid(pairs, _RECONSTRUCTED, scale=3).save(folder / "reconstructions.png")
    mapped = [sample.inputs["picture"] for sample in samples[:_MAPPED]]
    latents = bundle.run("encode_picture", {"picture": mapped})["encode_picture.latent"]
    _map(latents, [modality.draw(value) for value in mapped]).save(folder / "latent-map.png")
    return {"reconstructions": "reconstructions.png", "latent_map": "latent-map.png"}


def _grid(pictures: Sequence[Image.Image], columns: int, *, scale: int) -> Image.Image:
    width, height = pictures[0].width * scale, pictures[0].height * scale
    rows = -(-len(pictures) // columns)
    canvas = Image.new("RGB", (columns * width, rows * height), "white")
    for place, picture in enumerate(pictures):
        at = (place % columns * width, place // columns * height)
        canvas.paste(picture.convert("RGB").resize((width, height), Image.Resampling.NEAREST), at)
    return canvas


def _map(latents: np.ndarray[Any, Any], pictures: Sequence[Image.Image]) -> Image.Image:
    """Place each picture at its latent's first two principal components, by rank so that they spread evenly."""
    centred = latents - latents.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    ranks = np.argsort(np.argsort(centred @ axes[:2].T, axis=0), axis=0) / (len(latents) - 1)
    canvas = Image.new("RGB", (_MAP_PIXELS, _MAP_PIXELS), "black")
    for (x, y), picture in zip(ranks, pictures, strict=True):
        room = _MAP_PIXELS - picture.width
        canvas.paste(picture.convert("RGB"), (round(x * room), round(y * room)))
    return canvas


if __name__ == "__main__":
    main(*sys.argv[1:])
