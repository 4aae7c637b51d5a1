"""The C++ tests under the address and undefined-behaviour sanitizers."""

from __future__ import annotations

import platform
import shutil
import subprocess
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.skipif(platform.system() != "Linux", reason="built with GCC or Clang on Linux")
@pytest.mark.skipif(
    not (shutil.which("cmake") and shutil.which("c++")), reason="needs cmake and a C++ compiler"
)
def test_no_memory_error_and_no_undefined_behaviour(repository: Path, tmp_path: Path) -> None:
    script = repository / "native" / "tests" / "run_sanitizers.sh"
    run = subprocess.run(["sh", script, tmp_path], capture_output=True, text=True, timeout=600, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "100% tests passed" in run.stdout
