"""``import unrolled`` is light, the runtime works without torch, and names are fetched on use."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import unrolled
import unrolled.runtime.opening
from unrolled.runtime import save_model

NO_TORCH = """
import sys, json
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "pandas", "pyarrow", "kiwipiepy"):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
sys.meta_path.insert(0, Refuse())
"""


def run(code: str) -> Any:
    source = str(Path(unrolled.__file__).parent.parent)
    code = f"import sys; sys.path.insert(0, {source!r})\n{code}"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_importing_the_package_imports_nothing_else() -> None:
    loaded = run(
        "import json\nbefore = set(sys.modules)\nimport unrolled\n"
        "print(json.dumps(sorted(set(sys.modules) - before)))"
    )
    foreign = [name for name in loaded if name.partition(".")[0] not in sys.stdlib_module_names]
    assert foreign == ["unrolled"]


def test_prediction_without_torch(parts: Callable[..., Any], tmp_path: Path) -> None:
    save_model(tmp_path / "m", *parts())
    answers = run(
        NO_TORCH
        + f"import unrolled\nmodel = unrolled.load({str(tmp_path / 'm')!r})\n"
        + "print(json.dumps([answer.label for answer in model.predict(['the film', ''])]))"
    )
    assert len(answers) == 2
    assert set(answers) <= {"neg", "pos", "없음"}


def test_training_without_torch_says_what_to_install() -> None:
    message = run(
        NO_TORCH
        + "import unrolled\ntry:\n    unrolled.Classifier().fit((['a', 'b'], ['x', 'y']), quiet=True)\n"
        + "except unrolled.errors.MissingExtraError as error:\n    print(json.dumps(str(error)))"
    )
    assert "pip install 'unrolled[train]'" in message


def test_names() -> None:
    assert unrolled.ClassifierOptions is unrolled.options.ClassifierOptions
    assert unrolled.load is unrolled.runtime.opening.load
    assert isinstance(unrolled.__version__, str)
    assert {"Classifier", "load", "text", "runtime"} <= set(dir(unrolled))
    with pytest.raises(AttributeError, match="loda"):
        unrolled.loda  # noqa: B018
    with pytest.raises(AttributeError, match="loda"):
        unrolled.runtime.loda  # noqa: B018
