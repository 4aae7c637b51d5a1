"""Where the words come from: files, folders, gzip, standard input, or sentences in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from unrolled.data.encoding import by_mark, canonical, decoded, without_mark
from unrolled.data.sources import ByteSource, open_bytes
from unrolled.errors import DataError

_JOINED_CHARACTERS = 1 << 18


class Texts:
    """Sentences, one a line, in parts of bounded size.

    Args:
        data: a path, ``"-"``, a folder (all files in it, in the order of their names), a list of these, or an
            iterable of sentences, each a string or a list of tokens.
        encoding: of files.
        without: a folder in which no text is looked for: what the training itself writes is none.

    Attributes:
        name: how messages and the saved vectors call the data.

    Raises:
        DataError: a file that is missing or cannot be read, a folder without files, anything else.
    """

    def __init__(
        self, data: Any, *, encoding: str = "utf-8", without: str | os.PathLike[str] | None = None
    ) -> None:
        self._encoding = canonical(encoding)
        self._files: list[str] = []
        self._sentences: Iterable[Any] | None = None
        self._digest = hashlib.sha256()
        if isinstance(data, (str, os.PathLike)):
            self.name = str(data)
            self._files = _files_of(data, without)
        elif isinstance(data, (list, tuple)) and data and all(isinstance(one, os.PathLike) for one in data):
            self.name = ", ".join(map(str, data))
            self._files = [file for one in data for file in _files_of(one, without)]
        elif isinstance(data, Iterable):
            self.name = f"<{type(data).__name__}>"
            self._sentences = data
        else:
            raise DataError(
                f"text must come from a path, a folder or an iterable of sentences, not {type(data).__name__}"
            )
        for place in map(Path, self._files):
            if place.is_file() or not (place.exists() or str(place) == "-"):  # a pipe is opened only once
                open_bytes(place).close()

    @property
    def sha256(self) -> str:
        """Checksum of the text that :meth:`parts` has given so far."""
        return self._digest.hexdigest()

    def parts(self) -> Iterator[str]:
        """The text; lines end with ``\\n``. A part may end anywhere, except between files and sentences.

        Raises:
            DataError: bytes that cannot be decoded, with file and line; a sentence that is neither text nor
                tokens.
        """
        self._digest = hashlib.sha256()
        source = self._of_files() if self._sentences is None else _joined(self._sentences)
        for part in source:
            self._digest.update(part.encode("utf-8", "surrogatepass"))
            yield part

    def _of_files(self) -> Iterator[str]:
        for file in self._files:
            source = ByteSource(file)
            encoding = self._encoding.replace("utf-8-sig", "utf-8")
            if encoding == "utf-8":
                encoding = by_mark(source.head) or encoding
            chunks = source.chunks()
            last = ""
            for part in decoded(
                without_mark(chunks) if encoding == "utf-8" else chunks, encoding, source.name
            ):
                last = part
                yield part
            if last and not last.endswith("\n"):
                yield "\n"


def _files_of(path: str | os.PathLike[str], without: str | os.PathLike[str] | None) -> list[str]:
    place = Path(path)
    if not place.is_dir():
        return [str(path)]
    found = [entry for entry in place.rglob("*") if entry.is_file() and not _hidden(entry, place)]
    entries = found
    if without is not None:
        top, output = place.resolve(), Path(without).resolve()
        entries = [entry for entry in found if not _within(top / entry.relative_to(place), output)]
        if found and not entries:
            raise DataError(
                f"all its files lie in {without}, where the vectors go: give them another folder",
                source=place,
            )
    if not entries:
        raise DataError("the folder holds no file: give a folder of text files", source=place)
    return sorted(map(str, entries))


def _within(path: Path, folder: Path) -> bool:
    return folder in path.parents


def _hidden(entry: Path, top: Path) -> bool:
    return any(part.startswith(".") for part in entry.relative_to(top).parts)


def _joined(sentences: Iterable[Any]) -> Iterator[str]:
    """Sentences as lines; tokens are joined by blanks."""
    lines: list[str] = []
    size = 0
    for number, sentence in enumerate(sentences):
        line = sentence.replace("\n", " ") if isinstance(sentence, str) else _line(sentence, number)
        lines.append(line)
        size += len(line)
        if size > _JOINED_CHARACTERS:
            yield "\n".join(lines) + "\n"
            lines, size = [], 0
    if lines:
        yield "\n".join(lines) + "\n"


def _line(tokens: Any, number: int) -> str:
    try:
        line = " ".join(tokens)
    except TypeError:
        kind = type(tokens).__name__
        raise DataError(f"sentence {number} must be a string or a list of tokens, not {kind}") from None
    if len(line.split()) != len(tokens):
        odd = next(token for token in tokens if len(token.split()) != 1)
        raise DataError(
            f"sentence {number}: the token {odd[:40]!r} is empty or holds a blank: join its parts with '_'"
        )
    return line
