"""The package as installed: metadata, lazy imports, licence, typing, and what its files may not hold."""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.resources
import json
import re
import subprocess
import sys
import tomllib
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

HEAVY = ("accelerate", "kiwipiepy", "matplotlib", "pandas", "pyarrow", "tokenizers", "torch")


@pytest.fixture(scope="module")
def distribution() -> importlib.metadata.Distribution:
    try:
        return importlib.metadata.distribution("unrolled")
    except importlib.metadata.PackageNotFoundError:
        pytest.fail('the tests run on the installed package: pip install -c constraints.txt ".[dev]"')


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, Any]:
    return tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def modules_after(statement: str) -> set[str]:
    """Top-level modules that a fresh interpreter has loaded after a statement, besides those of its start."""
    code = (
        f"import sys, json; old = set(sys.modules); {statement}; print(json.dumps([*set(sys.modules) - old]))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=120
    )
    return {name.partition(".")[0] for name in json.loads(shown.stdout.splitlines()[-1])}


def test_import_of_the_package_loads_nothing_heavy() -> None:
    loaded = modules_after("import unrolled")
    assert "unrolled" in loaded
    assert loaded.isdisjoint({*HEAVY, "click", "numpy", "rich", "safetensors"})


@pytest.mark.parametrize(
    "name", ["data", "text", "embed", "cells", "engine", "runtime", "nn", "cli.app", "options"]
)
def test_import_of_a_part_loads_no_heavy_library(name: str) -> None:
    loaded = modules_after(f"import unrolled.{name}")
    assert "unrolled" in loaded
    assert loaded.isdisjoint(HEAVY)


def test_help_of_the_command_loads_neither_numpy_nor_torch() -> None:
    loaded = modules_after(
        "from unrolled.cli.app import command; command.main(['--help'], standalone_mode=False)"
    )
    assert loaded.isdisjoint({*HEAVY, "numpy"})


def test_version_is_that_of_the_metadata(
    distribution: importlib.metadata.Distribution, project: dict[str, Any]
) -> None:
    import unrolled

    assert unrolled.__version__ == distribution.version
    assert distribution.version == project["version"]


def test_public_names_exist() -> None:
    import unrolled

    assert unrolled.__all__
    for name in unrolled.__all__:
        assert getattr(unrolled, name) is not None
    assert set(unrolled.__all__) <= set(dir(unrolled))
    with pytest.raises(AttributeError):
        unrolled.no_such_name  # noqa: B018


def test_the_command_is_installed(distribution: importlib.metadata.Distribution) -> None:
    commands = {entry.name: entry for entry in distribution.entry_points if entry.group == "console_scripts"}
    assert list(commands) == ["unrolled"]
    assert callable(commands["unrolled"].load())


def test_licence_travels_with_the_package(
    distribution: importlib.metadata.Distribution, repository: Path
) -> None:
    assert distribution.metadata["License-Expression"] == "Apache-2.0"
    text = distribution.read_text("licenses/LICENSE")
    assert text is not None
    assert text == (repository / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text
    assert "END OF TERMS AND CONDITIONS" in text


def test_package_is_typed() -> None:
    assert importlib.resources.files("unrolled").joinpath("py.typed").is_file()


def test_declared_pythons_are_3_11_to_3_14(project: dict[str, Any]) -> None:
    prefix = "Programming Language :: Python :: 3."
    minors = [int(line.removeprefix(prefix)) for line in project["classifiers"] if line.startswith(prefix)]
    assert minors == [11, 12, 13, 14]
    allowed = SpecifierSet(project["requires-python"])
    assert [minor for minor in range(8, 15) if f"3.{minor}" in allowed] == minors


def test_every_direct_dependency_is_pinned_within_its_bounds(
    repository: Path, project: dict[str, Any]
) -> None:
    lines = (repository / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {}
    for line in lines:
        if line and not line.startswith("#"):
            name, version = line.split("==")
            pins[name] = version
    asked = [*project["dependencies"], *chain.from_iterable(project["optional-dependencies"].values())]
    needed = {}
    for requirement in map(Requirement, asked):
        if requirement.name != "unrolled":
            needed[requirement.name] = requirement.specifier
    assert sorted(needed) == sorted(pins)
    assert [name for name, bounds in needed.items() if pins[name] not in bounds] == []
    assert pins["torch"] == "2.13.0"


def test_every_module_has_a_docstring(repository: Path) -> None:
    files = sorted((repository / "src").rglob("*.py"))
    assert len(files) > 30
    bare = [str(file.relative_to(repository)) for file in files if not ast.get_docstring(_parsed(file))]
    assert bare == []


def test_every_public_name_has_a_docstring(repository: Path) -> None:
    """Classes and functions at the top of a module."""
    bare = []
    for file in sorted((repository / "src").rglob("*.py")):
        for node in _parsed(file).body:
            named = isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
            if named and not _is_overload(node) and not ast.get_docstring(node):
                bare.append(f"{file.relative_to(repository)}:{node.lineno} {node.name}")
    assert bare == []


def test_setup_commands_of_the_readme(repository: Path) -> None:
    readme = (repository / "README.md").read_text(encoding="utf-8")
    assert 'pip install -c constraints.txt ".[train,demo]" && unrolled demo' in readme
    assert 'pip install -c constraints.txt ".[dev]" && pytest' in readme
    checks = (repository / ".ci" / "run").read_text(encoding="utf-8")
    assert '\npip install -c constraints.txt ".[dev]"\n' in checks
    assert "\npytest\n" in checks


def test_no_leftovers_in_the_files(repository: Path) -> None:
    """No conflict marks, notes to self, unfilled figures, or paths of one developer's machine."""
    leftovers = re.compile(
        r"^(?:<{7} |>{7} |={7}$)"
        r"|\b(?:TO" r"DO|FIX" r"ME)\b"
        r"|FIGURE" r"\("
        r"|(?<![\w.])/(?:work|home/\w+|Users/\w+|root|opt|tmp/(?:dev|spec|pkg|bash_jobs))/",
        re.MULTILINE,
    )  # fmt: skip
    found = []
    for file in _own_files(repository):
        try:
            text = file.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for match in leftovers.finditer(text):
            line = text.count("\n", 0, match.start()) + 1
            found.append(f"{file.relative_to(repository)}:{line}: {match.group()}")
    assert found == []


def _own_files(repository: Path) -> list[Path]:
    """What git tracks or would track."""
    if not (repository / ".git").exists():
        pytest.skip("not a git checkout")
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=repository,
        check=True,
        capture_output=True,
    )
    names = [name for name in listed.stdout.decode().split("\0") if name]
    assert "pyproject.toml" in names
    return [file for name in names if (file := repository / name).is_file()]


def _is_overload(node: ast.ClassDef | ast.FunctionDef) -> bool:
    return any(ast.unparse(decorator).endswith("overload") for decorator in node.decorator_list)


def _parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text(encoding="utf-8"))
