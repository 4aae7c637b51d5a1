"""One pass over the text: words are counted, and the text is kept on disk as numbers.

The text is read once. Words get numbers as they come; the numbers go to a file. When all words are counted,
the vocabulary is cut and sorted, and the file is rewritten in place with the final ids. So training reads
four bytes a token from disk, whatever the size of the text, and never splits a line again.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from unrolled.data.records import MAX_RECORD_BYTES
from unrolled.embed.options import VectorOptions
from unrolled.embed.texts import Texts
from unrolled.errors import DataError, TrainingError
from unrolled.text.basic_english import basic_english_stream

#: Entry of the file that ends a sentence.
END = -1
#: Tokens after which a sentence is cut, as word2vec's own program does.
LONGEST_SENTENCE = 1000
#: Different words in memory; beyond, the rarest are forgotten.
MOST_TYPES = 20_000_000

_BLOCK = 1 << 22
_LINE_END = "\n"
_PROGRESS_TOKENS = 1 << 20


@dataclass(frozen=True)
class Counted:
    """A vocabulary and what it was made from.

    Attributes:
        words: the most frequent first, of equal ones the one seen first.
        counts: ``(words,)`` int64.
        tokens: of the text, exactly.
        kept_tokens: those that are words of the vocabulary, exactly.
        types: different words of the text; a lower bound if ``forgotten``.
        forgotten: times that rare words were forgotten because there were too many; then counts of words that
            were rare at first may be too low.
        entries: of the file of numbers, sentence ends included.
        sha256: of the text.
    """

    words: list[str]
    counts: np.ndarray
    tokens: int
    kept_tokens: int
    types: int
    forgotten: int
    entries: int
    sha256: str


def count_words(
    texts: Texts,
    options: VectorOptions,
    file: Path,
    *,
    tell: Callable[[int], None] | None = None,
    most_types: int = MOST_TYPES,
) -> Counted:
    """Count the words of a text and write it as numbers.

    Args:
        texts: the text.
        options: tokenizer, ``min_count`` and ``max_words``.
        file: where the numbers go: int32 in the machine's order, ids of the vocabulary, ``END`` after each
            sentence; words outside the vocabulary are left out.
        tell: told the number of tokens read so far, now and then.
        most_types: different words in memory.

    Raises:
        DataError: text that cannot be read, or fewer than two words that occur often enough. ``file`` is
            then gone.
        TrainingError: ``file`` cannot be written; it is then gone.
    """
    try:
        return _count(texts, options, file, tell, most_types)
    except BaseException:
        file.unlink(missing_ok=True)
        raise


def _count(
    texts: Texts,
    options: VectorOptions,
    file: Path,
    tell: Callable[[int], None] | None,
    most_types: int,
) -> Counted:
    numbers = itertools.count(1)
    known: defaultdict[str, int] = defaultdict(numbers.__next__)
    known[_LINE_END] = 0
    counts = np.zeros(1 << 16, dtype=np.int64)
    tokens = forgotten = threshold = told = 0
    with _written(file):
        spool = file.open("wb", buffering=0)
    with spool:
        for block in _token_blocks(texts, options.tokenizer):
            ids = np.array(list(map(known.__getitem__, block)), dtype=np.int32)
            _write(spool, ids, file)
            highest = int(ids.max(initial=0))
            if highest >= len(counts):
                counts = np.concatenate([counts, np.zeros(max(len(counts), highest), dtype=np.int64)])
            found = np.bincount(ids, minlength=1)
            counts[: len(found)] += found
            tokens += len(ids) - int(found[0])
            if tell is not None and tokens - told >= _PROGRESS_TOKENS:
                told = tokens
                tell(tokens)
            while len(known) > most_types:  # word2vec's ReduceVocab
                forgotten += 1
                threshold += 1
                rare = [word for word, number in known.items() if number and counts[number] <= threshold]
                for word in rare:
                    del known[word]
    del known[_LINE_END]
    words, final = _vocabulary(known, counts, options)
    if len(words) == options.max_words == 1:
        raise DataError("one word is not enough to learn from: raise --max-words", source=texts.name)
    if len(words) < 2:
        raise DataError(
            f"only {len(words)} of {len(known):,} different words occur {options.min_count} times or more: "
            "lower --min-count, or give more text",
            source=texts.name,
        )
    kept_counts = counts[[known[word] for word in words]]
    with _written(file):
        entries = _renumber(file, final)
    return Counted(
        words,
        kept_counts,
        tokens,
        int(kept_counts.sum()),
        len(known),
        forgotten,
        entries,
        texts.sha256,
    )


def _token_blocks(texts: Texts, tokenizer: str) -> Iterator[list[str]]:
    """Tokens, with a line end after each sentence and after each ``LONGEST_SENTENCE`` tokens."""
    run = 0
    rest = ""
    for part in itertools.chain(texts.parts(), [None]):
        text = rest + (part if part is not None else "\n")
        # Up to the last line end, or blank: what follows may be half a word.
        edge = 1 + text.rfind("\n") or 1 + text.rfind(" ")
        rest = text[edge:]
        if len(rest) > MAX_RECORD_BYTES:
            raise DataError("16 MiB without a blank or a line end: is this text?", source=texts.name)
        if not edge:
            continue
        lines = text[:edge].split("\n")
        if tokenizer == "basic_english":
            split = list(basic_english_stream(lines))
        else:
            split = [line.split() for line in lines]
        block: list[str] = []
        for number, words in enumerate(split):
            if run + len(words) > LONGEST_SENTENCE:
                for word in words:
                    block.append(word)
                    run += 1
                    if run == LONGEST_SENTENCE:
                        block.append(_LINE_END)
                        run = 0
            else:
                block += words
                run += len(words)
            if run and number < len(split) - 1:
                block.append(_LINE_END)
                run = 0
        if block:
            yield block
    if run:
        yield [_LINE_END]


def _vocabulary(
    known: dict[str, int], counts: np.ndarray, options: VectorOptions
) -> tuple[list[str], np.ndarray]:
    """The words that stay, sorted, and the final id of each number (-2: none)."""
    words = list(known)
    numbers = np.fromiter(known.values(), dtype=np.int64, count=len(known))
    frequencies = counts[numbers]
    chosen = np.flatnonzero(frequencies >= options.min_count)
    chosen = chosen[np.argsort(-frequencies[chosen], kind="stable")]
    if options.max_words:
        chosen = chosen[: options.max_words]
    final = np.full(len(counts), -2, dtype=np.int32)
    final[0] = END
    final[numbers[chosen]] = np.arange(len(chosen), dtype=np.int32)
    return [words[index] for index in chosen], final


def _renumber(file: Path, final: np.ndarray) -> int:
    """Give every number in the file its final id, in place: what is written never overtakes what is read."""
    entries = 0
    last = END
    with file.open("r+b") as reading, file.open("r+b", buffering=0) as writing:
        while len(numbers := _read(reading)):
            ids = final[numbers]
            ids = ids[ids != -2]
            before = np.concatenate([np.array([last], dtype=np.int32), ids[:-1]]) if len(ids) else ids
            ids = ids[(ids != END) | (before != END)]  # sentences of which no word is left
            if len(ids):
                last = int(ids[-1])
                _write(writing, ids, file)
                entries += len(ids)
        writing.truncate(entries * 4)
    return entries


@contextmanager
def _written(file: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TrainingError(
            f"{file}: cannot be written ({error.strerror or error}). The text needs four bytes a token "
            "there: check free space and rights."
        ) from None


def _write(spool: IO[bytes], ids: np.ndarray, file: Path) -> None:
    rest = ids.data.cast("B")
    with _written(file):
        while rest:  # an unbuffered file may take a part
            rest = rest[spool.write(rest) :]


def _read(file: IO[bytes]) -> np.ndarray:
    return np.fromfile(file, dtype=np.int32, count=_BLOCK)
