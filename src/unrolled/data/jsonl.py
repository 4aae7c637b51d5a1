"""JSON Lines: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from unrolled.data.lines import Block, LineDecoder, good_lines
from unrolled.data.records import BadRows


def objects(blocks: Iterable[Block], decoder: LineDecoder) -> Iterator[tuple[int, dict[str, object]]]:
    """Each object with its line; blank lines are left out, anything else is reported."""
    bad = decoder.bad
    parse = json.JSONDecoder().decode
    for block in blocks:
        for number, line in good_lines(block, decoder):
            if not line or line.isspace():
                continue
            try:
                value = parse(line)
            except json.JSONDecodeError as error:
                column = len(line[: error.pos].encode("utf-8", "surrogatepass")) + 1
                advice = "write one complete object on each line"
                bad.report("bad JSON", f"bad JSON: {error.msg}", advice, line=number, column=column)
                continue
            except (ValueError, RecursionError) as error:
                what = "nested too deeply" if isinstance(error, RecursionError) else "a number is too long"
                bad.report("bad JSON", f"bad JSON: {what}", line=number, column=1)
                continue
            if type(value) is not dict:
                _not_an_object(bad, number, value)
                continue
            yield number, value


def cells(
    blocks: Iterable[Block], decoder: LineDecoder, text: str, label: str | None
) -> Iterator[tuple[int, object, object]]:
    """Line, text and label of each object; objects without the keys are reported."""
    for line, row in objects(blocks, decoder):
        try:
            yield line, row[text], None if label is None else row[label]
        except KeyError as missing:
            present = ", ".join(list(row)[:8]) or "none"
            decoder.bad.report(
                "missing key",
                f"the object has no key '{missing.args[0]}' (its keys: {present})",
                line=line,
            )


def _not_an_object(bad: BadRows, line: int, value: object) -> None:
    names = {list: "an array", str: "a string", bool: "a truth value", type(None): "null"}
    bad.report(
        "not a JSON object",
        f"a JSON object is wanted, this is {names.get(type(value), 'a number')}",
        "write one object on each line",
        line=line,
        column=1,
    )
