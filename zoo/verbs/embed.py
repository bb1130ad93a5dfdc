"""Embeds any number of rows, one vector each."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from zoo.protocols import Progress
from zoo.recipes.arguments import checked
from zoo.runtime.batching import BATCH_ROWS
from zoo.runtime.bundle import Bundle
from zoo.runtime.embedding import SHARD_ROWS, Embedded, embed as embed_rows
from zoo.runtime.ends import file_suffixes, inputs_of
from zoo.runtime.sources import open_source
from zoo.verbs.bundles import bundle_of
from zoo.verbs.progress import told

_log = logging.getLogger(__name__)


@checked
def embed(
    bundle: str | os.PathLike[str] | Bundle,
    graph: str,
    source: Path | str,
    out: Path | str,
    *,
    name: str = "",
    output: str = "",
    shard_rows: int = SHARD_ROWS,
    batch_rows: int = BATCH_ROWS,
    skip_bad: bool = False,
    progress: Progress | None = None,
) -> Embedded:
    """Write one vector per row of ``source`` to ``out``: a folder of shards, or one file if it ends in ``.npy``.

    ``source`` is a ``.txt`` with a value per line, a ``.csv`` with a column per input, a ``.jsonl`` with an object per
    line, or a folder with a file per row; files of other kinds in it are left out with a warning. ``name`` is the input
    that the values belong to and ``output`` the vector to write, if the graph has several. ``skip_bad`` leaves out rows
    that cannot be read, and lists them. An interrupted run continues if the same is called again. ``progress`` is
    called with the number of finished rows and their total.

    Raises DataError, naming the line, if a row cannot be read and is not skipped; IntegrityError if ``out`` holds
    vectors of another bundle or source; UsageError if it was begun with other settings, holds something else, or
    another process is writing to it.
    """
    opened = bundle_of(bundle)
    inputs = inputs_of(opened, graph)
    rows = open_source(source, inputs, name=name, suffixes=file_suffixes(opened, graph))
    if rows.left_out:
        _log.warning("files of other kinds are left out: %d, such as %s", len(rows.left_out), rows.left_out[0])
    with told(progress, "embedding") as advance:
        return embed_rows(
            opened,
            graph,
            rows,
            Path(out),
            output=output,
            shard_rows=shard_rows,
            batch_rows=batch_rows,
            skips_bad=skip_bad,
            observe=lambda done: advance(done, rows.count, "rows"),
        )
