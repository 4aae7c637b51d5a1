"""What all tests share: one thread a worker, and the way to the public data sets."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# Several workers share the processor, so that each takes one thread. It must be said before numpy or torch is
# imported; processes that tests start inherit it.
for _variable in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "UNROLLED_NUM_THREADS"):
    os.environ.setdefault(_variable, "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("MPLBACKEND", "Agg")

_ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the repository."""
    return _ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the public data sets; the test is skipped where there is none."""
    told = os.environ.get("UNROLLED_DATA")
    folder = Path(told) if told else _ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no data sets in {folder}: set UNROLLED_DATA to the folder that holds them")
    return folder
