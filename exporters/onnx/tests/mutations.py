"""Plants every fault, judges each, and writes how the contract fared into a page.

``python exporters/onnx/tests/mutations.py docs/parity.md``
"""

from pathlib import Path

import click
from planted.all import FAULTS
from planted.judged import judged
from planted.page import rewritten


@click.command("mutations")
@click.argument("page", type=click.Path(path_type=Path, exists=True))
def command(page):
    """Write the table of planted faults into PAGE, between its marks."""
    page.write_text(rewritten(page.read_text(), [judged(fault) for fault in FAULTS]))


if __name__ == "__main__":
    command()
