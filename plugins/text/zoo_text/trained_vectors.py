"""Writes the words and embeddings that a checkpoint has learnt as a word2vec file.

``python -m zoo_text.trained_vectors CHECKPOINT OUT.bin``
"""

from __future__ import annotations

from pathlib import Path

import click
import numpy as np
from torch import nn

from zoo import Encoder, Model, UsageError, ZooError, load
from zoo_text.modality import TextModality
from zoo_text.tokenizers import PADDING
from zoo_text.word2vec import WordVectors, write_word2vec


def trained_vectors(model: Model) -> WordVectors:
    """Return the words of the model's text input and the embeddings that its encoder has for them.

    Raises UsageError if the model does not have exactly one text input of whole words, with exactly one embedding.
    """
    texts = [
        modality
        for modality in model.modalities.values()
        if isinstance(modality, TextModality) and modality.tokenizer == "words"
    ]
    if len(texts) != 1:
        raise UsageError(f"expected a model with one text input of whole words, it has {len(texts)}; take another")
    modality = texts[0]
    encoders = [module for module in model.objective.modules() if isinstance(module, Encoder)]
    tables = [
        module
        for encoder in encoders
        for module in encoder.modules()
        if isinstance(module, nn.Embedding) and module.num_embeddings == modality.token_count
    ]
    if len(tables) != 1:
        raise UsageError(f"expected a model with one embedding of its words, it has {len(tables)}; take another")
    first = modality.first_word
    ids = np.arange(first, modality.token_count)[:, None]
    words = modality.from_arrays({"ids": ids, "mask": ids != PADDING})
    return WordVectors(tuple(words), tables[0].weight[first:].detach().float().cpu().numpy())


@click.command("trained_vectors")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.argument("out", type=click.Path(path_type=Path))
@click.option("--text", is_flag=True, help="Write the text format instead of the C binary one.")
def command(checkpoint: Path, out: Path, text: bool) -> None:
    """Write the word embeddings of CHECKPOINT to OUT, a word2vec file."""
    try:
        vectors = trained_vectors(load(checkpoint).model)
        write_word2vec(vectors, out, binary=not text)
    except ZooError as error:
        raise click.ClickException(str(error)) from error
    click.echo(f"{out}: {len(vectors.words)} words of {vectors.size} numbers")


if __name__ == "__main__":
    command()
