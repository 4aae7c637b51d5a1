"""The errors that Unrolled raises for a user's mistake.

Each message says what is wrong, where it stands and what to do about it. The command line prints the message
alone, without a traceback; in Python they are ordinary exceptions. All derive from :class:`UnrolledError`.
"""

from __future__ import annotations

from pathlib import Path


class UnrolledError(Exception):
    """Base of all errors caused by input, options, files or the installation."""


class DataError(UnrolledError):
    """A file or record that cannot be read as asked.

    Args:
        reason: what is wrong, and what to do.
        source: name of the file (``"-"`` for standard input) or ``None`` for data given in memory.
        line: 1-based line of the file, or ``None``.
        column: 1-based position of the character or number of the field, or ``None``.
    """

    def __init__(
        self,
        reason: str,
        *,
        source: str | Path | None = None,
        line: int | None = None,
        column: int | None = None,
    ) -> None:
        self.reason = reason
        self.source = None if source is None else str(source)
        self.line = line
        self.column = column
        place = ":".join(str(part) for part in (self.source, line, column) if part is not None)
        super().__init__(f"{place}: {reason}" if place else reason)


class UnknownWordError(UnrolledError, KeyError):
    """A word that has no vector, and cannot be given one."""

    def __str__(self) -> str:  # KeyError would show the message in quotes
        return str(self.args[0])


class OptionError(UnrolledError):
    """An option that is unknown, out of range, or contradicts another."""


class ModelFileError(UnrolledError):
    """A saved model that is corrupt, truncated, foreign, hostile or of another format version."""


class TrainingError(UnrolledError):
    """Training that cannot go on: loss not a number, nothing to learn, a checkpoint that does not fit."""


class MissingExtraError(UnrolledError, ImportError):
    """A feature whose optional dependency is not installed.

    Args:
        feature: what the user asked for.
        package: the missing package.
        extra: the extra of Unrolled that brings it.
    """

    def __init__(self, feature: str, *, package: str, extra: str) -> None:
        self.package = package
        self.extra = extra
        super().__init__(
            f"{feature} needs the package '{package}', which is not installed. "
            f"Install it with: pip install 'unrolled[{extra}]'"
        )
