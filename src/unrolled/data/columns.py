"""Which column is the text, which the label: as told, else by name, else by content."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from unrolled.data.labels import is_missing
from unrolled.errors import DataError, OptionError


def _each(names: str) -> tuple[str, ...]:
    return tuple(names.split())


# In order of preference: of two known names the earlier one is taken.
_TEXT_NAMES = _each(
    """text sentence review document utterance content comment question q query message tweet body post phrase
    description headline title input texts sentences reviews documents utterances comments
    문장 내용 리뷰 본문 텍스트 댓글 후기 발화 질문 문서 메시지 대화 글 원문 제목"""
)
_LABEL_NAMES = _each(
    """label labels class target category sentiment topic intent emotion polarity stars star rating score
    genre categories classes tags tag y gold
    라벨 레이블 분류 정답 범주 카테고리 클래스 감정 감성 주제 의도 별점 평점 점수"""
)
_ID_NAMES = _each(
    """id idx index no num nr uid uuid key unnamed rowid docid guid
    번호 순번 아이디 인덱스 일련번호"""
)
# A word that turns "text_length" or "review_id" into something else than a text or a label.
_OTHER_WORDS = (
    *_ID_NAMES,
    *_each("count length len date time url author user lang language split source"),
)


class Columns(NamedTuple):
    """The columns in use. ``label``: ``None`` if no label is read. ``guessed``: the user did not tell all."""

    text: str
    label: str | None
    guessed: bool


@dataclass(frozen=True, slots=True)
class Choice:
    """Positions of the chosen columns, their names, and a sentence about what was guessed (or ``None``)."""

    text: int
    label: int | None
    columns: Columns
    note: str | None


def is_number(value: object) -> bool:
    """Whether a cell is a number or the text of one."""
    if isinstance(value, str):
        try:
            float(value)
        except ValueError:
            return False
        return True
    return isinstance(value, (int, float))


def is_text_name(name: str) -> bool:
    """Whether a column of this name surely holds texts."""
    return _rank(name, _TEXT_NAMES) is not None


def is_label_name(name: str) -> bool:
    """Whether a column of this name surely holds labels."""
    return _rank(name, _LABEL_NAMES) is not None


def is_id_name(name: str) -> bool:
    """Whether a column of this name holds identifiers."""
    words = _words(name)
    return not words or words[0] == "unnamed" or words[-1] in _ID_NAMES


def choose_columns(
    names: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    source: str,
    named: bool,
    text_column: str | int | None,
    label_column: str | int | None,
    wants_label: bool,
) -> Choice:
    """Find the columns.

    Args:
        names: all columns.
        rows: the first rows of data, as evidence.
        source: name for messages.
        named: the names come from the data; without a header they are only ``column 1`` and so on.
        text_column: name or 1-based number, or ``None`` to guess.
        label_column: likewise.
        wants_label: a label is needed.

    Raises:
        DataError: no such column, or it cannot be told which one is meant; lists the columns.
        OptionError: the same column for both.
    """
    text = None if text_column is None else find_column(names, text_column, source=source, named=named)
    label = None if label_column is None else find_column(names, label_column, source=source, named=named)
    if text is not None and text == label:
        raise OptionError(f"column '{names[text]}' is given as text and as label: choose two columns")
    if wants_label and len(names) == 1:
        raise DataError(
            f"there is only one column ('{names[0]}') and no label: add a label column, "
            "or check the delimiter with --delimiter",
            source=source,
        )
    told_text, told_label = text is not None, label is not None or not wants_label
    stats = [_Stats.of([row[index] for row in rows if index < len(row)]) for index in range(len(names))]
    why_text = why_label = ""
    if wants_label and label is None:
        label = _label_by_name(names, text)
        why_label = "named so"
    if text is None:
        text, why_text = _text(names, stats, label)
        if text is None:
            raise _undecided("text", names, source, named)
    if wants_label and label is None:
        label, why_label = _label(names, stats, text)
        if label is None:
            raise _undecided("label", names, source, named)
    parts = []
    if not told_text and len(names) > 1:
        parts.append(f"text column '{names[text]}' ({why_text})")
    if not told_label and label is not None:
        parts.append(f"label column '{names[label]}' ({why_label})")
    columns = Columns(names[text], None if label is None else names[label], not (told_text and told_label))
    return Choice(text, label, columns, f"{source}: {', '.join(parts)}" if parts else None)


def find_column(names: Sequence[str], wanted: str | int, *, source: str, named: bool) -> int:
    """Position of the column with this name or 1-based number.

    Raises:
        DataError: there is no such column, or two of this name.
    """
    if isinstance(wanted, str):
        places = [index for index, name in enumerate(names) if name == wanted]
        places = places or [index for index, name in enumerate(names) if name.strip() == wanted.strip()]
        if len(places) > 1:
            raise DataError(
                f"two columns are called '{wanted}': rename one, or give the number", source=source
            )
        if places:
            return places[0]
        if not wanted.strip().isdecimal():
            if not named:
                raise DataError(
                    f"no column '{wanted}': the file has no header. Give the number, 1 to {len(names)}",
                    source=source,
                )
            near = difflib.get_close_matches(wanted, names, n=1, cutoff=0.5)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            raise DataError(f"no column '{wanted}'.{hint} Columns: {', '.join(names)}", source=source)
    number = int(wanted)
    if not 1 <= number <= len(names):
        raise DataError(f"no column {number}: there are {len(names)} ({', '.join(names)})", source=source)
    return number - 1


def check_names(names: Sequence[str], *, source: str) -> None:
    """Refuse a header that names two columns alike (empty names aside).

    Raises:
        DataError: names the columns.
    """
    for index, name in enumerate(names):
        if name and name in names[:index]:
            raise DataError(
                f"the header has '{name}' twice (columns {names.index(name) + 1} and {index + 1}): "
                "rename one, or give the columns by number with --text-column and --label-column",
                source=source,
                line=1,
                column=index + 1,
            )


@dataclass(frozen=True, slots=True)
class _Stats:
    rows: int
    distinct: int
    mean_length: float
    numeric: bool  # all that is there are numbers
    integers: bool  # all that is there are whole numbers
    strings: bool  # all that is there are strings
    spaced: bool  # some value has a space inside

    @classmethod
    def of(cls, values: Sequence[object]) -> _Stats:
        present = [value for value in values if not is_missing(value) and value != ""]
        texts = [value if isinstance(value, str) else str(value) for value in present]
        return cls(
            rows=len(texts),
            distinct=len(set(texts)),
            mean_length=sum(map(len, texts)) / len(texts) if texts else 0.0,
            numeric=bool(present) and all(map(is_number, present)),
            integers=bool(present) and all(text.strip().lstrip("-").isdecimal() for text in texts),
            strings=bool(present) and all(isinstance(value, str) for value in present),
            spaced=any(" " in text.strip() for text in texts),
        )

    @property
    def like_id(self) -> bool:
        """All different, and whole numbers or words without a space: row numbers, keys, hashes."""
        single = self.integers or (self.strings and not self.numeric and not self.spaced)
        return self.rows > 4 and self.distinct == self.rows and single


def _words(name: str) -> list[str]:
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", unicodedata.normalize("NFKC", name))
    return re.findall(r"[^\W\d_]+", parted.casefold())


def _rank(name: str, known: Sequence[str]) -> int | None:
    """Place of a name among the known ones; a name of several words comes after, by its last known word."""
    words = _words(name)
    if len(words) == 1:
        return known.index(words[0]) if words[0] in known else None
    if len(words) > 3 or any(word in _OTHER_WORDS for word in words):
        return None
    return next((len(known) + known.index(word) for word in reversed(words) if word in known), None)


def _is_other_name(name: str) -> bool:
    return is_id_name(name) or any(word in _OTHER_WORDS for word in _words(name))


def _best_named(names: Sequence[str], known: Sequence[str], taken: int | None) -> int | None:
    ranks = [(rank, index) for index, name in enumerate(names) if (rank := _rank(name, known)) is not None]
    ranks = sorted(pair for pair in ranks if pair[1] != taken)
    if not ranks or (len(ranks) > 1 and ranks[0][0] == ranks[1][0]):
        return None  # "sentence1", "sentence2": a tie is no answer
    return ranks[0][1]


def _label_by_name(names: Sequence[str], text: int | None) -> int | None:
    return _best_named(names, _LABEL_NAMES, text)


def _text(names: Sequence[str], stats: Sequence[_Stats], label: int | None) -> tuple[int | None, str]:
    if len(names) == 1:
        return (0, "the only column") if label is None else (None, "")
    found = _best_named(names, _TEXT_NAMES, label)
    if found is not None and not stats[found].numeric:
        return found, "named so"
    lengths = sorted(
        (
            (stat.mean_length, -index)
            for index, stat in enumerate(stats)
            if index != label and stat.strings and not stat.numeric and not is_label_name(names[index])
        ),
        reverse=True,
    )
    spaced = [pair for pair in lengths if stats[-pair[1]].spaced]
    candidates = spaced or lengths
    if not candidates or (len(candidates) > 1 and candidates[0][0] < 1.5 * candidates[1][0]):
        return None, ""
    return -candidates[0][1], "longest values" if len(lengths) > 1 else "the only column of texts"


def _label(names: Sequence[str], stats: Sequence[_Stats], text: int) -> tuple[int | None, str]:
    others = [index for index in range(len(names)) if index != text]
    candidates = [index for index in others if not _is_other_name(names[index]) and not stats[index].like_id]
    if len(others) == 1:  # two columns: what is not the text, unless it numbers the rows
        return (others[0], "the other column") if candidates else (None, "")
    few = [index for index in candidates if 2 <= stats[index].distinct <= max(2, stats[index].rows // 2)]
    return (few[0], "few distinct values") if len(few) == 1 else (None, "")


def _undecided(what: str, names: Sequence[str], source: str, named: bool) -> DataError:
    listed = (
        ", ".join(f"{number} '{name}'" for number, name in enumerate(names, 1))
        if named
        else f"1 to {len(names)}"
    )
    header = "" if named else " (no header)"
    return DataError(
        f"cannot tell which column is the {what}. Columns{header}: {listed}. "
        f"Give --{what}-column NAME or NUMBER (in Python {what}_column=...)",
        source=source,
    )
