"""Processes measured from outside, and the machine that they ran on."""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


@dataclass(frozen=True)
class Finished:
    """What a process cost.

    Attributes:
        seconds: wall time from start to end.
        peak_mb: largest resident memory, MB of 10**6 bytes.
        output: what it wrote to standard output.
    """

    seconds: float
    peak_mb: float
    output: str


def measured(command: Sequence[str | Path], *, stdin: str = "", **variables: str) -> Finished:
    """Run a command to its end; exits with its standard error if it fails."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [str(part) for part in command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        env={**os.environ, **variables},
    )
    # The children's share of wait4 is exact for one process; polling its memory would miss the peak.
    assert process.stdin and process.stdout and process.stderr
    process.stdin.write(stdin)
    process.stdin.close()
    output = process.stdout.read()
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - began
    if os.waitstatus_to_exitcode(status):
        sys.exit(f"{' '.join(map(str, command))} failed:\n{errors}")
    unit = 1 if sys.platform == "darwin" else 1024
    return Finished(seconds, usage.ru_maxrss * unit / 1e6, output)


def data_folder() -> Path:
    """Where the public data sets lie: the environment variable UNROLLED_DATA, or ../shared/data."""
    folder = Path(os.environ.get("UNROLLED_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    if not folder.is_dir():
        sys.exit(f"No data sets at {folder}. Set UNROLLED_DATA to the folder that holds nsmc/, sst2/ ...")
    return folder


def machine(*packages: str) -> dict[str, str | int]:
    """Processor, cores and versions, to be printed beside every figure."""
    found: dict[str, str | int] = {"processor": _processor(), "cores": os.cpu_count() or 0}
    found["python"] = platform.python_version()
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "absent"
    return found


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), "unknown")


def spread(values: Sequence[float], digits: int = 2) -> str:
    """Mean and, of several values, smallest to largest."""
    mean = f"{statistics.mean(values):.{digits}f}"
    if len(values) == 1:
        return mean
    return f"{mean} ({min(values):.{digits}f} to {max(values):.{digits}f})"
