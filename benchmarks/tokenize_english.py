"""basic_english against torchtext's, on 10 MB of English-like text, in one run.

    python benchmarks/tokenize_english.py [--torchtext FOLDER_OR_WHEEL] [--runs 7] [--json FILE]

The peer is the file ``torchtext/data/utils.py`` of the torchtext wheel. It is pure Python and is loaded
alone, as the wheel's compiled part wants a torch of its own time. Get it with ``pip download
torchtext==0.18.0 --no-deps``.

The text is made from a seed: words of a Zipf-like distribution with the punctuation of reviews, in lines
of sentence and of review length. Three ways of use are timed: ``stream``, in which each line's tokens are
let go at once (counting a vocabulary, looking up ids); ``keep``, in which all are kept in a list; and
``one call``, which calls ``basic_english`` for each line, as a program written for torchtext does. Ours
and the peer alternate; the figure is the ratio of medians. That the tokens are equal is checked first.
UNROLLED_ENGINE=off times the plain Python of ours.
"""

from __future__ import annotations

import argparse
import gc
import importlib.util
import json
import random
import statistics
import sys
import sysconfig
import tempfile
import time
import zipfile
from collections import deque
from collections.abc import Callable
from pathlib import Path

from unrolled import engine
from unrolled.text.basic_english import basic_english, basic_english_batch, basic_english_stream

_SIZE = 10_000_000
_MEMBER = "torchtext/data/utils.py"


def english_like(characters: int, words_a_line: int, *, unicode: bool) -> list[str]:
    """Lines of about ``words_a_line`` words, ``characters`` in all."""
    rng = random.Random(words_a_line)
    letters = "eeeettaaooiinnsshhrrddllcumwfgypbvkxjqz"
    words = ["".join(rng.choices(letters, k=rng.randint(1, 9))) for _ in range(20_000)]
    lines: list[str] = []
    size = 0
    while size < characters:
        line = []
        for _ in range(rng.randint(words_a_line // 2, words_a_line * 3 // 2)):
            word = words[min(int(rng.paretovariate(0.8)), len(words) - 1)]
            draw = rng.random()
            if draw < 0.02:
                word += "'s"
            elif draw < 0.06:
                word += ","
            elif draw < 0.11:
                word += "."
            elif draw < 0.12:
                word = f'"{word}"'
            elif draw < 0.125:
                word = f"({word})"
            elif draw < 0.13:
                word += "<br /><br />"
            elif draw < 0.14:
                word += rng.choice("!?;:")
            elif draw < 0.20:
                word = word.capitalize()
            elif unicode and draw < 0.201:
                word += rng.choice("é—’“")
            line.append(word)
        lines.append(" ".join(line))
        size += len(lines[-1]) + 1
    return lines


def load_peer(place: Path | None) -> Callable[[str], list[str]]:
    """torchtext's function, from a wheel, a folder that holds one or an installation."""
    candidates = [place] if place else [Path.cwd(), Path(sysconfig.get_paths()["purelib"])]
    for candidate in candidates:
        wheels = [candidate] if candidate.is_file() else sorted(candidate.glob("torchtext-*.whl"))
        if (candidate / _MEMBER).is_file():
            return _load(candidate / _MEMBER)
        if wheels:
            with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(wheels[-1]) as wheel:
                return _load(Path(wheel.extract(_MEMBER, folder)))
    places = ", ".join(map(str, candidates))
    sys.exit(
        f"no torchtext in {places}. Get it with: pip download torchtext==0.18.0 --no-deps --dest FOLDER, "
        "then give --torchtext FOLDER"
    )


def _load(path: Path) -> Callable[[str], list[str]]:
    spec = importlib.util.spec_from_file_location("torchtext_data_utils", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tokenize: Callable[[str], list[str]] = module.get_tokenizer("basic_english")
    return tokenize


def seconds(call: Callable[[], object]) -> float:
    gc.collect()
    start = time.perf_counter()
    result = call()
    taken = time.perf_counter() - start
    del result
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--torchtext", type=Path, help="wheel, or folder with it or the package")
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    peer = load_peer(options.torchtext)
    report = []
    way = "compiled engine" if engine.available() else f"plain Python, {engine.reason()}"
    print(f"seconds for 10 MB, median of {options.runs} runs; ours: {way}")
    print(f"{'text':<22}{'use':<9}{'ours':>9}{'torchtext':>11}{'ratio':>8}")
    for name, words, unicode in (
        ("sentences, ASCII", 18, False),
        ("sentences, Unicode", 18, True),
        ("reviews, ASCII", 200, False),
        ("reviews, Unicode", 200, True),
    ):
        lines = english_like(_SIZE, words, unicode=unicode)
        expected = [peer(line) for line in lines]
        assert basic_english_batch(lines) == expected, "tokens differ from torchtext's"
        assert list(basic_english_stream(lines)) == expected, "tokens differ from torchtext's"
        assert list(map(basic_english, lines)) == expected, "tokens differ from torchtext's"
        print(f"{name}: {len(lines)} lines, {sum(map(len, expected))} tokens, all equal to torchtext's")
        del expected
        uses: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
            "stream": (
                lambda lines=lines: deque(basic_english_stream(lines), maxlen=0),
                lambda lines=lines: deque(map(peer, lines), maxlen=0),
            ),
            "keep": (
                lambda lines=lines: basic_english_batch(lines),
                lambda lines=lines: list(map(peer, lines)),
            ),
            "one call": (
                lambda lines=lines: deque(map(basic_english, lines), maxlen=0),
                lambda lines=lines: deque(map(peer, lines), maxlen=0),
            ),
        }
        for use, (ours, theirs) in uses.items():
            times = [(seconds(ours), seconds(theirs)) for _ in range(options.runs)]
            mine, other = (statistics.median(column) for column in zip(*times, strict=True))
            print(f"{name:<22}{use:<9}{mine:>9.3f}{other:>11.3f}{other / mine:>8.2f}")
            report.append(
                {"text": name, "use": use, "ours_s": mine, "torchtext_s": other, "ratio": other / mine}
            )
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
