"""Bytes -> text: choosing the encoding, and finding out what bytes are that do not fit it."""

from __future__ import annotations

import codecs
import difflib
from collections.abc import Iterable, Iterator

from unrolled.errors import DataError, OptionError

_BOMS = (  # the longer first: UTF-32-LE begins like UTF-16-LE
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_COMMON = ("utf-8", "utf-16", "cp949", "euc-kr", "johab", "cp1252", "latin-1", "shift_jis", "gb18030", "big5")


def canonical(encoding: str) -> str:
    """Python's name of an encoding.

    Raises:
        OptionError: there is no such text encoding; names the nearest one.
    """
    try:
        info = codecs.lookup(encoding)
        "".encode(encoding)  # refuses codecs such as base64 that do not make text
        return info.name
    except (LookupError, ValueError, TypeError):
        near = difflib.get_close_matches(encoding.lower(), _COMMON, n=1, cutoff=0.5)
        hint = f" Did you mean '{near[0]}'?" if near else f" Known are, among others: {', '.join(_COMMON)}."
        raise OptionError(f"no text encoding is called '{encoding}'.{hint}") from None


def by_mark(head: bytes) -> str | None:
    """The encoding that a byte order mark of UTF-16 or UTF-32 announces, or ``None``."""
    return next((name for mark, name in _BOMS if head.startswith(mark)), None)


def keeps_ascii_lines(encoding: str) -> bool:
    """Whether the byte 0x0A is always, and only, a line end in this encoding."""
    wide = encoding.startswith(("utf-16", "utf-32", "utf-7", "iso2022", "hz"))
    try:
        return not wide and bytes(range(128)).decode(encoding) == "".join(map(chr, range(128)))
    except UnicodeError:
        return False


def as_utf8(chunks: Iterable[bytes], encoding: str, name: str) -> Iterator[bytes]:
    """Recode a stream whose line ends are not plain bytes (UTF-16 and its like) to UTF-8.

    Raises:
        DataError: undecodable bytes, with the line at which they stand.
    """
    for text in decoded(chunks, encoding, name):
        yield text.encode("utf-8", "surrogatepass")


def decoded(chunks: Iterable[bytes], encoding: str, name: str) -> Iterator[str]:
    """The text of a stream of bytes, in parts that are not empty.

    Raises:
        DataError: undecodable bytes, with the line at which they stand.
    """
    decoder = codecs.getincrementaldecoder(encoding)()
    line = 1
    last = False
    iterator = iter(chunks)
    while not last:
        chunk = next(iterator, None)
        last = chunk is None
        try:
            text = decoder.decode(chunk or b"", final=last)
        except UnicodeError as error:
            good = getattr(error, "object", b"")[: getattr(error, "start", 0)]
            line += good.decode(encoding, "ignore").count("\n")
            raise DataError(
                f"bytes that are not {encoding}: the file is damaged or in another encoding, "
                "give the right one with --encoding",
                source=name,
                line=line,
            ) from None
        line += text.count("\n")
        if text:
            yield text


def without_mark(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Drop the byte order mark of UTF-8 at the start of a stream."""
    iterator = iter(chunks)
    start = b""
    for chunk in iterator:
        start += chunk
        if len(start) >= len(codecs.BOM_UTF8):
            break
    yield start.removeprefix(codecs.BOM_UTF8)
    yield from iterator


def advice_for(raw: bytes, head: bytes, encoding: str) -> str:
    """What to do about bytes that are not valid in ``encoding``.

    Args:
        raw: the line that cannot be decoded.
        head: the first bytes of the file, as further evidence.
        encoding: the encoding in which the file was read.
    """
    if encoding == "utf-8" and any(map(_is_utf8_beyond_ascii, head.splitlines()[:1000])):
        return "the rest is UTF-8, so these bytes are damaged: correct them"
    if encoding != "utf-8" and _is_utf8_beyond_ascii(raw):
        return "looks like UTF-8: leave --encoding out"
    if encoding not in ("cp949", "euc_kr") and _is_korean(raw):
        return "looks like CP949: add --encoding cp949"
    for other in ("cp1252", "latin-1"):
        if encoding not in ("utf-8", "cp949", "euc_kr"):
            break
        try:
            raw.decode(other)
        except UnicodeDecodeError:
            continue
        return f"if this is Western European text add --encoding {other}"
    return "give the right encoding with --encoding"


def _is_utf8_beyond_ascii(raw: bytes) -> bool:
    try:
        return not raw.decode("utf-8").isascii()
    except UnicodeDecodeError:
        return False


def _is_korean(raw: bytes) -> bool:
    """CP949 that is mostly syllables of KS X 1001, those in daily use: most bytes decode as something."""
    try:
        beyond = [char for char in raw.decode("cp949") if ord(char) > 127]
    except UnicodeDecodeError:
        return False
    common = sum("가" <= char <= "힣" and len(char.encode("euc_kr", "ignore")) == 2 for char in beyond)
    return common >= 1 and common >= 0.8 * len(beyond)
