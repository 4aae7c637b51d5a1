"""Makes ``toy_training`` importable for the tests of this folder and the processes that they start."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
