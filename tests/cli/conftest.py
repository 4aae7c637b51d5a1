"""How the tests run the command: as a process of its own, as users do."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

#: Small enough to train in a second or two.
TINY = [
    *("--embed-dim", "8", "--hidden", "8", "--ngram-buckets", "512", "--ngram-max", "3"),
    *("--epochs", "6", "--batch-size", "16", "--learning-rate", "0.02", "--min-freq", "1"),
]

_GOOD = (
    "a fine warm story",
    "wonderful and clever",
    "재미있는 좋은 영화",
    "lovely music throughout",
    "정말 좋은 이야기",
)
_BAD = (
    "a dull cold mess",
    "boring and stupid",
    "지루한 나쁜 영화",
    "awful noise throughout",
    "정말 나쁜 이야기",
)


@dataclass(frozen=True)
class Result:
    """What a process left behind."""

    code: int
    out: str
    err: str

    @property
    def message(self) -> str:
        """The line on stderr that begins with ``error:``."""
        lines = [line for line in self.err.splitlines() if line.startswith("error: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0].removeprefix("error: ")


Run = Callable[..., Result]


def environment() -> dict[str, str]:
    """The environment of the tests without what would colour or widen the output, good for any folder."""
    drop = ("NO_COLOR", "FORCE_COLOR", "COLUMNS")
    kept = {name: value for name, value in os.environ.items() if name not in drop}
    if "PYTHONPATH" in kept:
        kept["PYTHONPATH"] = os.pathsep.join(map(os.path.abspath, kept["PYTHONPATH"].split(os.pathsep)))
    return kept | {"PYTHONUTF8": "1", "TERM": "xterm-256color"}


def command_line(arguments: Sequence[object]) -> list[str]:
    """The command as ``subprocess`` wants it."""
    return [sys.executable, "-m", "unrolled", *map(str, arguments)]


@pytest.fixture(scope="session")
def run() -> Run:
    """Runs ``unrolled`` with arguments: ``run("info", folder, stdin="...", cwd=...)``."""

    def runner(
        *arguments: object,
        stdin: str | bytes = b"",
        cwd: Path | None = None,
        extra: dict[str, str] | None = None,
    ) -> Result:
        done = subprocess.run(
            command_line(arguments),
            input=stdin.encode() if isinstance(stdin, str) else stdin,
            capture_output=True,
            cwd=cwd,
            env=environment() | (extra or {}),
            timeout=120,
            check=False,
        )
        return Result(done.returncode, done.stdout.decode(), done.stderr.decode())

    return runner


def write_reviews(path: Path, rows: int, seed: int) -> Path:
    """A TSV file with a header: texts of two kinds that can be told apart."""
    rng = random.Random(seed)
    lines = ["text\tlabel"]
    for number in range(rows):
        good = number % 2 == 0
        lines.append(
            f"{rng.choice(_GOOD if good else _BAD)} {rng.randrange(50)}\t{'good' if good else 'bad'}"
        )
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with train.tsv, dev.tsv and test.tsv."""
    folder = tmp_path_factory.mktemp("reviews")
    for name, rows, seed in (("train", 120, 1), ("dev", 40, 2), ("test", 40, 3)):
        write_reviews(folder / f"{name}.tsv", rows, seed)
    return folder


@pytest.fixture(scope="session")
def trained(run: Run, files: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A tiny model trained through the command, and what the command said."""
    model = tmp_path_factory.mktemp("models") / "tiny"
    result = run(
        *("train", "classify", "--train", files / "train.tsv", "--dev", files / "dev.tsv", "--out", model),
        *TINY,
    )
    assert result.code == 0, result.err
    return model, result


@pytest.fixture(scope="session")
def model(trained: tuple[Path, Result]) -> Path:
    """The folder of a tiny model that knows good from bad."""
    return trained[0]


@pytest.fixture(scope="session")
def no_torch(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Environment of an installation without torch."""
    folder = tmp_path_factory.mktemp("no_torch")
    (folder / "torch.py").write_text("raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')\n")
    path = environment().get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join([str(folder), *([path] if path else [])])}
