"""Runs the documentation: every code block of README.md and docs/, in order, one namespace and folder a page.

- ``python`` blocks are executed; ``pycon`` blocks (``>>>``) are doctests.
- ``console`` blocks hold shell commands after ``$``. They run in a folder with the small files of
  :func:`write_reviews` and :func:`write_names`; output that is shown must be what comes out, ``...`` stands
  for any text.
- A block whose first line is a comment ``# not run: reason`` is only read.
- ``sh`` blocks are for setting up and developing; other languages are not code to run.
"""

from __future__ import annotations

import contextlib
import doctest
import importlib
import io
import itertools
import os
import random
import re
import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
GUIDE = sorted((ROOT / "docs").glob("*.md"))
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *GUIDE]
RUN = ("python", "pycon", "console")
READ = ("json", "sh", "text", "toml", "tsv")
NOT_RUN = re.compile(r"# not run: \w.+")
FLAGS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE


@dataclass(frozen=True)
class Block:
    """One fenced block; ``line`` is that of its first line of code, 1-based."""

    language: str
    code: str
    line: int

    @property
    def runs(self) -> bool:
        return self.language in RUN and not NOT_RUN.match(self.code)


def blocks(text: str) -> Iterator[Block]:
    """The fenced blocks of a page."""
    fence, start, language, code = "", 0, "", list[str]()
    for number, line in enumerate(text.splitlines(), start=1):
        mark = line.lstrip()
        if not fence and mark.startswith("```"):
            fence, language = mark[: len(mark) - len(mark.lstrip("`"))], mark.lstrip("`").strip()
            start, code = number + 1, []
        elif fence and mark.strip() == fence:
            yield Block(language, "\n".join(code) + "\n", start)
            fence = ""
        elif fence:
            code.append(line)
    assert not fence, f"the block that starts in line {start - 1} has no end"


def identified(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that a page's code runs in; ``unrolled`` is on the path of its shell."""
    write_reviews(tmp_path)
    write_names(tmp_path)
    command = tmp_path / ".bin" / "unrolled"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m unrolled "$@"\n')
    command.chmod(0o755)
    monkeypatch.setenv("PATH", f"{command.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("page", PAGES, ids=identified)
def test_code_of_the_page_runs(page: Path, folder: Path) -> None:
    namespace: dict[str, Any] = {"__name__": page.stem}
    for block in blocks(page.read_text(encoding="utf-8")):
        if block.runs:
            {"python": run_python, "pycon": run_session, "console": run_shell}[block.language](
                block, page, namespace
            )


def run_python(block: Block, page: Path, namespace: dict[str, Any]) -> None:
    # Blank lines before the code make line numbers in tracebacks those of the page.
    exec(compile("\n" * (block.line - 1) + block.code, str(page), "exec"), namespace)


def run_session(block: Block, page: Path, namespace: dict[str, Any]) -> None:
    test = doctest.DocTestParser().get_doctest(block.code, namespace, page.name, str(page), block.line - 1)
    assert test.examples, f"{identified(page)}:{block.line}: no >>> in a pycon block"
    complaints = io.StringIO()
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    runner.run(test, out=complaints.write, clear_globs=False)
    namespace.update(test.globs)
    if runner.failures:
        pytest.fail(complaints.getvalue(), pytrace=False)


def run_shell(block: Block, page: Path, namespace: dict[str, Any]) -> None:
    shell = shutil.which("bash")
    if shell is None:
        pytest.skip("console blocks need bash")
    for command, expected in commands(block):
        done = subprocess.run(
            [shell, "-c", f"set -euo pipefail; {command}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=300,
            check=False,
        )
        shown = done.stdout.decode()
        place = f"{identified(page)}:{block.line}: {command}"
        assert done.returncode == 0, f"{place}\nended with {done.returncode}:\n{shown}"
        if expected and not doctest.OutputChecker().check_output(expected, shown, FLAGS):
            pytest.fail(f"{place}\n-- the page shows\n{expected}\n-- came out\n{shown}", pytrace=False)


def commands(block: Block) -> Iterator[tuple[str, str]]:
    """The commands after ``$`` and the output that follows each."""
    lines = iter(block.code.splitlines())
    current: list[str] = []
    output: list[str] = []
    for line in lines:
        if line.startswith("$ "):
            if current:
                yield "\n".join(current), "\n".join(output).strip()
            current, output = [line[2:]], []
            while current[-1].endswith("\\"):
                current.append(next(lines))
        else:
            assert current, f"line {block.line}: a console block begins with a command after $"
            output.append(line)
    yield "\n".join(current), "\n".join(output).strip()


def write_reviews(folder: Path) -> None:
    """Labelled reviews, half English and half Korean, made of a few words; no text is in two files."""
    english = {
        "positive": ("wonderful", "moving", "brilliant", "charming", "great fun"),
        "negative": ("dull", "a waste of time", "boring", "badly acted", "far too long"),
    }
    korean = {
        "positive": (
            "정말 재미있어요",
            "감동적이었다",
            "최고의 영화",
            "배우들의 연기가 훌륭하다",
            "또 보고 싶다",
        ),
        "negative": ("너무 지루하다", "시간이 아까웠다", "최악의 영화", "연기가 어색하다", "다시는 안 본다"),
    }
    subjects = ("the film was", "this story is", "I found it", "the ending was", "a plot that is")
    asides = ("", "솔직히", "친구와 봤는데", "기대했는데", "어제 봤다")
    texts = [
        (f"{start} {word}".strip(), label)
        for starts, words in ((subjects, english), (asides, korean))
        for label, choice in words.items()
        for start, word in itertools.product(starts, choice)
    ]
    chance = random.Random(0)
    chance.shuffle(texts)
    parts = {"reviews": texts[:60] * 20, "dev": texts[60:80], "test": texts[80:]}
    for name, rows in parts.items():
        lines = [f"{text}\t{label}" for text, label in rows]
        (folder / f"{name}.tsv").write_text("\n".join(["text\tlabel", *lines, ""]), encoding="utf-8")


def write_names(folder: Path) -> None:
    """Sentences with names of people and places as columns, in two files without a sentence in common."""
    people, places = ("Kim", "Lee", "Park", "Choi", "Jung"), ("Seoul", "Busan", "Jeju", "New York")
    sentences = []
    for person, place, (verb, link) in itertools.product(
        people, places, (("works", "in"), ("moved", "to"), ("left", "for"), ("is", "from"))
    ):
        first, *rest = place.split()
        rows = [(person, "B-person"), (verb, "O"), (link, "O"), (first, "B-place")]
        sentences.append([*rows, *((word, "I-place") for word in rest), (".", "O")])
    random.Random(0).shuffle(sentences)
    for name, part in (("names", sentences[:60] * 3), ("names-dev", sentences[60:])):
        text = "\n".join("".join(f"{word}\t{tag}\n" for word, tag in rows) for rows in part)
        (folder / f"{name}.conll").write_text(text, encoding="utf-8")


def _modules_with_examples() -> list[str]:
    source = ROOT / "src"
    files = sorted(file for file in source.rglob("*.py") if ">>> " in file.read_text(encoding="utf-8"))
    names = [".".join(file.relative_to(source).with_suffix("").parts) for file in files]
    return [name.removesuffix(".__init__") for name in names]


@pytest.mark.parametrize("name", _modules_with_examples())
def test_examples_in_docstrings_run(name: str, folder: Path) -> None:
    module = importlib.import_module(name)
    failed, tried = doctest.testmod(module, optionflags=FLAGS)
    assert tried
    assert failed == 0


@pytest.mark.parametrize("page", PAGES, ids=identified)
def test_blocks_of_the_page_are_of_a_known_kind(page: Path) -> None:
    for block in blocks(page.read_text(encoding="utf-8")):
        place = f"{identified(page)}:{block.line}"
        assert block.language in RUN + READ, (
            f"{place}: a block of the language '{block.language}' would not be run"
        )
        if block.language == "sh":
            assert "unrolled " not in block.code.replace("&& unrolled demo", ""), f"{place}: use console"
        if "# not run" in block.code:
            assert not block.runs, f"{place}: write the first line as '# not run: reason'"


@pytest.mark.parametrize("page", PAGES, ids=identified)
def test_links_of_the_page_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        path, _, _ = target.partition("#")
        if path and "://" not in path:
            assert (page.parent / path).exists(), f"{identified(page)}: link to {target}"


def test_tables_of_the_options_page_are_those_of_the_options() -> None:
    writer = runpy.run_path(str(ROOT / "docs" / "options_table.py"))
    page = (ROOT / "docs" / "options.md").read_text(encoding="utf-8")
    assert page == writer["page"](), "run: python docs/options_table.py"


def test_every_page_of_the_guide_is_in_its_contents() -> None:
    contents = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    missing = [page.name for page in GUIDE if page.name != "README.md" and f"({page.name})" not in contents]
    assert missing == []


def test_runner_notices_wrong_output(folder: Path) -> None:
    """The runner itself: what a page claims falsely must fail."""
    page = ROOT / "README.md"
    with pytest.raises(pytest.fail.Exception, match="Expected"):
        run_session(Block("pycon", ">>> 1 + 1\n3\n", 1), page, {})
    with pytest.raises(pytest.fail.Exception, match="came out"):
        run_shell(Block("console", "$ echo one\ntwo\n", 1), page, {})
    with pytest.raises(AssertionError, match="ended with 3"):
        run_shell(Block("console", "$ exit 3\n", 1), page, {})
    namespace: dict[str, Any] = {}
    run_python(Block("python", "x = 1\n", 1), page, namespace)
    run_session(Block("pycon", ">>> x + 1\n2\n", 1), page, namespace)
    with pytest.raises(ZeroDivisionError), contextlib.redirect_stdout(io.StringIO()):
        run_python(Block("python", "x / 0\n", 1), page, namespace)
    assert [command for command, _ in commands(Block("console", "$ a \\\n  b\n$ c\nd\n", 1))] == [
        "a \\\n  b",
        "c",
    ]
    assert Block("python", "# not run: needs your file\nx\n", 1).runs is False
