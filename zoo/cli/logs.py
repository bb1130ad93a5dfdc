"""Log messages of a command, as plain lines on stderr."""

import logging

from zoo.cli.output import paragraph
from zoo.errors import without_secrets


class Plain(logging.Formatter):
    """One line per record, without control characters and without the passwords and tokens of addresses."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        return paragraph(without_secrets(super().format(record)))


def log_plainly() -> None:
    """Let warnings that nobody else handles reach stderr as plain lines."""
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(Plain())
