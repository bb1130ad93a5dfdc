"""One self-contained HTML page: pictures as data addresses, curves as SVG, no script and nothing fetched."""

from __future__ import annotations

import html
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from zoo.files.store import staged_file
from zoo.quickstart.line import ShortTraining
from zoo.reporting.chart import chart
from zoo.reporting.page import STYLE, data_address
from zoo.runtime.manifest import Manifest

_STYLE = f"""{STYLE}
.hits {{ display: flex; flex-wrap: wrap; gap: .8rem }} .hits figure {{ margin: 0; text-align: center; width: 7.5rem }}
.hits img {{ width: 72px; height: 72px }} .hits figcaption {{ font-size: .8rem }}
.unseen figcaption::after {{ content: " (unseen)"; color: #1f9d4d }}
.wide {{ max-width: 100%; image-rendering: pixelated }}
"""


def write_page(
    path: Path,
    folder: Path,
    training: ShortTraining,
    manifests: Mapping[str, Manifest],
    served: Mapping[str, Any],
) -> None:
    """Write the page; the pictures that ``served`` names lie in ``folder``."""
    languages = list(training.recalls[0][1])
    recall_lines = {
        language: [(step, by_language[language]) for step, by_language in training.recalls] for language in languages
    }
    chance = {"chance": [(1, training.chance), (training.recalls[-1][0], training.chance)]}
    parts = [
        "<!doctype html><html lang='en'><meta charset='utf-8'><meta name='viewport' content='width=device-width'>",
        f"<title>modalzoo: quickstart</title><style>{_STYLE}</style><h1>modalzoo</h1>",
        "<p class='note'>What <code>zoo quickstart</code> did on this machine, in one page.</p>",
        "<h2>Search emoji by words, without torch</h2>",
        *(_answer(answer, folder) for answer in served["answers"]),
        "<h2>A short training</h2><p>A fresh model, "
        f"{training.recalls[-1][0]} steps. Recall@10 is over unseen emoji only.</p>",
        "<div class='charts'>",
        chart("loss (InfoNCE, nats) by step", {"loss": training.losses}),
        chart("recall@10 on unseen emoji by step", {**recall_lines, **chance}),
        "</div>",
        "<h2>Fashion-MNIST through a variational autoencoder</h2>",
        "<p>Held-out pictures above, their reconstructions by the exported graph below.</p>",
        f"<img class='wide' alt='reconstructions' src='{data_address(folder / served['reconstructions'])}'>",
        "<p>The latent map: held-out pictures placed by the first two principal components of their latents.</p>",
        f"<img class='wide' alt='latent map' src='{data_address(folder / served['latent_map'])}'>",
        "<h2>Parity with torch</h2>",
        _parity(manifests),
        "</html>",
    ]
    with staged_file(path) as staging:
        staging.write_text("\n".join(parts), encoding="utf-8")


def _answer(answer: Mapping[str, Any], folder: Path) -> str:
    figures = "".join(
        f"<figure class='{'seen' if hit['seen'] else 'unseen'}'><img alt='{hit['emoji']}' "
        f"src='{data_address(folder / hit['file'])}'><figcaption>{html.escape(hit['name'])}</figcaption></figure>"
        for hit in answer["hits"]
    )
    return (
        f"<h3>“{html.escape(answer['query'])}” <span class='note'>{answer['milliseconds']:.1f} ms</span></h3>"
        f"<div class='hits'>{figures}</div>"
    )


def _parity(manifests: Mapping[str, Manifest]) -> str:
    rows = "".join(
        f"<tr><td>{name}</td><td>{graph}</td><td>{record.parity.cases}</td>"
        f"<td>{record.parity.used:.0%}</td><td>{record.parity.max_abs_error:.1e}</td></tr>"
        for name, manifest in manifests.items()
        for graph, record in manifest.graphs.items()
    )
    head = "<tr><th>entry</th><th>graph</th><th>cases</th><th>tolerance used</th><th>largest error</th></tr>"
    return f"<table>{head}{rows}</table>"
