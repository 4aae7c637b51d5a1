"""Saved models: round trip, atomic replacement, and refusal of everything that is not what was written."""

from __future__ import annotations

import json
import os
import shutil
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unrolled.errors import ModelFileError, UnrolledError
from unrolled.runtime import Predictor, as_saved_model, load, load_model, save_model
from unrolled.storage import files
from unrolled.storage.tensors import file_parts

FILES = ("model.json", "tokenizer.json", "weights.safetensors")
TEXTS = ["the film was good", "", "영화가 new"]


@pytest.fixture
def saved(parts: Callable[..., Any], tmp_path: Path) -> Path:
    save_model(tmp_path / "model", *parts())
    return tmp_path / "model"


@pytest.fixture(scope="module")
def pristine(
    parts: Callable[..., Any], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Path, np.ndarray]:
    """A folder, a zip, and what they answer."""
    place = tmp_path_factory.mktemp("pristine")
    save_model(place / "model", *parts())
    save_model(place / "model.zip", *parts())
    return place / "model", place / "model.zip", load(place / "model").probabilities(TEXTS)


def test_round_trip(saved: Path, parts: Callable[..., Any]) -> None:
    manifest, tokenizer, weights = parts()
    assert sorted(entry.name for entry in saved.iterdir()) == sorted(FILES)
    assert sorted(entry.name for entry in saved.parent.iterdir()) == ["model"]
    model = load_model(saved)
    assert {k: v for k, v in model.manifest.raw.items() if k != "files"} == manifest
    assert model.tokenizer_json == tokenizer
    for name, array in weights.items():
        assert (model.weights[name] == array).all()


def test_round_trip_with_some_buckets(tmp_path: Path, parts: Callable[..., Any]) -> None:
    made = as_saved_model(*parts(kept=[1, 5, 30]))
    save_model(tmp_path / "m", *parts(kept=[1, 5, 30]))
    assert load_model(tmp_path / "m").weights["ngrams.kept"].tolist() == [1, 5, 30]
    assert load_model(tmp_path / "m").manifest.parameters == made.manifest.parameters
    assert (load(tmp_path / "m").probabilities(TEXTS) == Predictor(made).probabilities(TEXTS)).all()


def test_zip_and_folder_answer_alike(pristine: tuple[Path, Path, np.ndarray], tmp_path: Path) -> None:
    folder, packed, expected = pristine
    assert (load(packed).probabilities(TEXTS) == expected).all()
    load(packed).save(tmp_path / "deep" / "again")
    assert (load(tmp_path / "deep" / "again").probabilities(TEXTS) == expected).all()
    by_hand = shutil.make_archive(str(tmp_path / "hand"), "zip", folder.parent, "model")
    assert (load(by_hand).probabilities(TEXTS) == expected).all()


def test_the_safetensors_library_reads_and_writes_the_same_file(
    saved: Path, parts: Callable[..., Any], rewritten: Callable[..., None]
) -> None:
    library = pytest.importorskip("safetensors.numpy")
    weights = parts()[2]
    read = library.load_file(saved / "weights.safetensors")
    assert set(read) == set(weights)
    for name, array in weights.items():
        assert (read[name] == array).all()
    before = load(saved).probabilities(TEXTS)
    rewritten(saved, {"weights.safetensors": library.save(weights, {"made": "elsewhere"})})
    assert (load(saved).probabilities(TEXTS) == before).all()


def test_unaligned_header(saved: Path, parts: Callable[..., Any], rewritten: Callable[..., None]) -> None:
    before = load(saved).probabilities(TEXTS)
    size, header, *payload = (bytes(part) for part in file_parts(parts()[2]))
    odd = header + b" "
    assert len(size) == 8
    rewritten(saved, {"weights.safetensors": b"".join([struct.pack("<Q", len(odd)), odd, *payload])})
    assert (load(saved).probabilities(TEXTS) == before).all()


# --- replacing ---------------------------------------------------------------------------------


@pytest.mark.parametrize("exchange", [True, False])
def test_a_model_is_replaced_and_other_files_stay(
    exchange: bool, saved: Path, parts: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not exchange:
        monkeypatch.setattr(files, "_exchange", lambda first, second: False)
    (saved / "notes.txt").write_text("mine")
    (saved / "checkpoints").mkdir()
    (saved / "checkpoints" / "3").write_text("x")
    save_model(saved, *parts(seed=7, model="gru"))
    assert load(saved).options.model == "gru"
    assert (saved / "notes.txt").read_text() == "mine"
    assert (saved / "checkpoints" / "3").read_text() == "x"
    assert sorted(entry.name for entry in saved.parent.iterdir()) == ["model"]


def test_a_failed_write_leaves_the_old_model(
    saved: Path, parts: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = load(saved).probabilities(TEXTS)
    calls: list[int] = []

    def full(descriptor: int) -> None:
        calls.append(descriptor)
        if len(calls) == 2:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(ModelFileError, match="No space left"):
        save_model(saved, *parts(seed=1))
    monkeypatch.undo()
    assert (load(saved).probabilities(TEXTS) == before).all()
    assert sorted(entry.name for entry in saved.parent.iterdir()) == ["model"]


def test_files_and_folders_are_synced_before_the_rename(
    tmp_path: Path, parts: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def note(descriptor: int) -> None:
        synced.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)
        real(descriptor)

    if not Path("/proc/self/fd").exists():
        pytest.skip("no /proc")
    monkeypatch.setattr(os, "fsync", note)
    save_model(tmp_path / "m", *parts())
    assert synced == ["tokenizer.json", "weights.safetensors", "model.json", "model", tmp_path.name]


def test_what_is_no_model_is_never_replaced(tmp_path: Path, parts: Callable[..., Any]) -> None:
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "chapter1.txt").write_text("years of work")
    (tmp_path / "file").write_text("x")
    (tmp_path / "file.zip").write_text("x")
    for name in ("thesis", "file", "file.zip"):
        with pytest.raises(ModelFileError, match=name):
            save_model(tmp_path / name, *parts())
    assert (tmp_path / "thesis" / "chapter1.txt").read_text() == "years of work"
    (tmp_path / "empty").mkdir()
    save_model(tmp_path / "empty", *parts())
    assert load(tmp_path / "empty").labels == ["neg", "pos", "없음"]


def test_parts_that_do_not_fit_are_not_written(tmp_path: Path, parts: Callable[..., Any]) -> None:
    manifest, tokenizer, weights = parts()
    name = "members.0.output.bias"
    for changed, message in (
        ({k: v for k, v in weights.items() if k != name}, "missing"),
        ({**weights, name: np.zeros(4, dtype=np.float32)}, "shape"),
        ({**weights, name: np.array([1, np.nan, 1], dtype=np.float32)}, "not finite"),
    ):
        with pytest.raises(ModelFileError, match=message):
            save_model(tmp_path / "m", manifest, tokenizer, changed)
    table = {**weights, "members.0.embedding.weight": weights["members.0.embedding.weight"] * np.float32(1e6)}
    with pytest.raises(ModelFileError, match="too large for float16"):
        as_saved_model({**manifest, "storage": {"embedding": "float16"}}, tokenizer, table)
    assert list(tmp_path.iterdir()) == []


# --- paths that are no model -------------------------------------------------------------------


def test_a_misspelt_path_names_the_nearest_model(saved: Path) -> None:
    with pytest.raises(ModelFileError, match=r"Did you mean '.*model'"):
        load(saved.parent / "modle")
    with pytest.raises(ModelFileError, match=r"Did you mean '.*model'"):
        load(saved.parent)
    with pytest.raises(ModelFileError, match="does not exist either"):
        load(saved / "x" / "y")
    with pytest.raises(ModelFileError, match="Give its folder"):
        load(saved / "weights.safetensors")
    (saved.parent / "notes.txt").write_text("hello")
    with pytest.raises(ModelFileError, match="not a model"):
        load(saved.parent / "notes.txt")
    with pytest.raises(ModelFileError):
        load("nul\0byte")


@pytest.mark.parametrize("name", FILES)
def test_missing_or_strange_file(name: str, saved: Path) -> None:
    (saved / name).unlink()
    with pytest.raises(ModelFileError, match=name):
        load(saved)
    os.mkfifo(saved / name)
    with pytest.raises(ModelFileError, match="not a regular file"):
        load(saved)


def test_unreadable_file(saved: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root reads everything")
    (saved / "model.json").chmod(0)
    with pytest.raises(ModelFileError, match="cannot be read"):
        load(saved)


# --- damage ------------------------------------------------------------------------------------

damage = st.tuples(
    st.sampled_from(["flip", "cut", "insert", "append", "zero"]),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 7),
    st.binary(min_size=1, max_size=9),
)


def damaged(data: bytes, kind: str, place: float, bit: int, extra: bytes) -> bytes:
    at = int(place * len(data))
    if kind == "flip":
        return data[:at] + bytes([data[at] ^ (1 << bit)]) + data[at + 1 :]
    if kind == "cut":
        return data[:at]
    if kind == "insert":
        return data[:at] + extra + data[at:]
    if kind == "zero":
        return data[:at] + b"\0" * min(64, len(data) - at) + data[at + 64 :]
    return data + extra


@settings(max_examples=250, deadline=None)
@given(st.sampled_from(FILES), damage)
def test_a_damaged_folder_works_identically_or_is_refused(
    pristine: tuple[Path, Path, np.ndarray], tmp_path_factory: pytest.TempPathFactory, name: str, how: Any
) -> None:
    folder, _, expected = pristine
    copy = tmp_path_factory.mktemp("d") / "m"
    shutil.copytree(folder, copy)
    (copy / name).write_bytes(damaged((folder / name).read_bytes(), *how))
    try:
        found = load(copy).probabilities(TEXTS)
    except ModelFileError as error:
        assert name in str(error) or "model.json" in str(error)
    else:
        if (
            name != "model.json"
        ):  # numbers of model.json that change no shape (temperature, max_length) are its own
            assert (found == expected).all()
    finally:
        shutil.rmtree(copy)


@settings(max_examples=250, deadline=None)
@given(damage)
def test_a_damaged_zip_works_or_is_refused(
    pristine: tuple[Path, Path, np.ndarray], tmp_path_factory: pytest.TempPathFactory, how: Any
) -> None:
    _, packed, expected = pristine
    copy = tmp_path_factory.mktemp("z") / "m.zip"
    copy.write_bytes(damaged(packed.read_bytes(), *how))
    try:
        found = load(copy).probabilities(TEXTS)
    except ModelFileError as error:
        assert "m.zip" in str(error)
    else:
        assert (found == expected).all()
    finally:
        copy.unlink()


# --- hostile files whose checksums fit ---------------------------------------------------------


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(FILES[1:]), how=damage)
def test_damage_with_fitting_checksums(
    pristine: tuple[Path, Path, np.ndarray],
    rewritten: Callable[..., None],
    tmp_path_factory: pytest.TempPathFactory,
    name: str,
    how: Any,
) -> None:
    folder, _, _ = pristine
    copy = tmp_path_factory.mktemp("h") / "m"
    shutil.copytree(folder, copy)
    rewritten(copy, {name: damaged((folder / name).read_bytes(), *how)})
    try:
        answer = load(copy).probabilities(TEXTS)
    except ModelFileError as error:
        assert str(copy) in str(error)
    else:
        assert np.isfinite(answer).all()
    finally:
        shutil.rmtree(copy)


def _set(*path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(content: dict[str, Any]) -> None:
        for key in path[:-1]:
            content = content[key]
        content[path[-1]] = value

    return change


HOSTILE_MANIFESTS = {
    "huge hidden": _set("options", "hidden", value=10**6),
    "large hidden": _set("options", "hidden", value=8192),
    "many layers": _set("options", "layers", value=16),
    "negative hidden": _set("options", "hidden", value=-1),
    "float hidden": _set("options", "hidden", value=5.0),
    "boolean hidden": _set("options", "hidden", value=True),
    "nested option": _set("options", "hidden", value=[[[]]]),
    "long option": _set("options", "vectors", value="x" * 5000),
    "unknown option": _set("options", "hiden", value=5),
    "options gone": _set("options", value=None),
    "huge table": _set("table_rows", value=2**31 - 1),
    "table of 10^400 rows": _set("table_rows", value=10**400),
    "more rows than buckets": _set("ngram_rows", value=41),
    "rows of nothing": _set("ngram_rows", value=3),
    "rows in words": _set("ngram_rows", value="all"),
    "negative table": _set("table_rows", value=-5),
    "labels not a list": _set("labels", value="ab"),
    "label not a string": _set("labels", value=["a", 1, None]),
    "label twice": _set("labels", value=["a", "a", "b"]),
    "one label more": _set("labels", value=["a", "b", "c", "d"]),
    "no labels": _set("labels", value=[]),
    "zero temperature": _set("temperature", value=0),
    "no temperature": _set("temperature", value=None),
    "temperature of 10^400": _set("temperature", value=10**400),
    "storage": _set("storage", value={"embedding": "float64"}),
    "other storage": _set("storage", value={"embedding": "float16"}),
    "metrics": _set("metrics", value=[1]),
    "other task": _set("task", value="tag"),
    "regression without target": _set("options", "task", value="regression"),
    "negative size": _set("files", "weights.safetensors", "bytes", value=-1),
    "huge size": _set("files", "weights.safetensors", "bytes", value=10**18),
    "huge tokenizer": _set("files", "tokenizer.json", "bytes", value=10**15),
    "other file": _set("files", "../../etc/passwd", value={"bytes": 1, "sha256": "0" * 64}),
    "no checksum": _set("files", "tokenizer.json", "sha256", value=None),
    "files a list": _set("files", value=[]),
    "foreign": _set("format", value="something"),
    "version true": _set("format_version", value=True),
    "version 0": _set("format_version", value=0),
}


@pytest.mark.parametrize("case", HOSTILE_MANIFESTS)
def test_hostile_manifest(case: str, saved: Path, rewritten: Callable[..., None]) -> None:
    rewritten(saved, {}, HOSTILE_MANIFESTS[case])
    with pytest.raises(ModelFileError, match=r"model\.json|weights\.safetensors"):
        load(saved)


@pytest.mark.parametrize("task", ["single", "regression"])
def test_any_value_of_a_wrong_kind_works_or_is_refused(
    task: str, tmp_path: Path, parts: Callable[..., Any], rewritten: Callable[..., None]
) -> None:
    saved = tmp_path / "model"
    save_model(saved, *parts(task=task, kept=[1, 5, 30], wide=[2, 9] if task == "single" else None))
    original = (saved / "model.json").read_bytes()
    content = json.loads(original)
    places = [(name,) for name in content if name != "checksum"]
    second = [name for name, value in content.items() if isinstance(value, dict)]
    if task == "regression":  # the rest is that of the other case
        places, second = [("labels",), ("target",)], ["target"]
    places += [(name, inner) for name in second for inner in content[name]]
    refused = 0
    for place in places:
        for value in ([], {}, None, -1, "x", True):

            def change(content: dict[str, Any], place: Any = place, value: Any = value) -> None:
                inner = content if len(place) == 1 else content[place[0]]
                inner[place[-1]] = value

            (saved / "model.json").write_bytes(original)
            rewritten(saved, {}, change)
            try:
                load(saved).predict(TEXTS)
            except ModelFileError:
                refused += 1
            except Exception as error:
                raise AssertionError(f"{place} = {value!r}") from error
    assert refused > len(places)


def test_sizes_are_refused_before_memory_is_taken(
    saved: Path, rewritten: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    largest = sum(entry.stat().st_size for entry in saved.iterdir())
    real = np.empty

    def bounded(shape: Any, *args: Any, **kwargs: Any) -> np.ndarray:
        assert np.prod(shape) <= largest, "memory was taken for a size that nobody checked"
        return real(shape, *args, **kwargs)

    monkeypatch.setattr(np, "empty", bounded)
    rewritten(saved, {}, HOSTILE_MANIFESTS["large hidden"])
    with pytest.raises(ModelFileError):
        load(saved)


def test_a_manifest_changed_by_hand(saved: Path) -> None:
    text = (saved / "model.json").read_text(encoding="utf-8")
    (saved / "model.json").write_text(
        json.dumps(json.loads(text)), encoding="utf-8"
    )  # spacing does not matter
    load(saved)
    (saved / "model.json").write_text(
        text.replace('"temperature": 1.0', '"temperature": 2.0'), encoding="utf-8"
    )
    with pytest.raises(ModelFileError, match="changed by hand"):
        load(saved)


def test_newer_format(saved: Path, rewritten: Callable[..., None]) -> None:
    def newer(content: dict[str, Any]) -> None:
        content.update(format_version=2, unrolled_version="9.9", labels={"anything": "may have changed"})

    rewritten(saved, {}, newer)
    with pytest.raises(ModelFileError, match=r"newer Unrolled \(9\.9\).*[Uu]pgrade"):
        load(saved)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"format": "unrolled-model", "format": "unrolled-model"}', "comes twice"),
        ('{"a":' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deep"),
        ('{"a":' + "[" * 100 + "]" * 100 + "}", "nested too deep"),
        ('{"format": NaN}', "NaN"),
        ("[]", "not a JSON object"),
        ("", "not valid JSON"),
        ('{"a": ' + "9" * 5000 + "}", "model.json"),
    ],
)
def test_hostile_json(text: str, message: str, saved: Path) -> None:
    (saved / "model.json").write_text(text)
    with pytest.raises(ModelFileError, match=message):
        load(saved)
    (saved / "model.json").write_bytes(b"\xff\xfe")
    with pytest.raises(ModelFileError, match="UTF-8"):
        load(saved)


def header_of(weights: dict[str, np.ndarray]) -> tuple[dict[str, Any], bytes]:
    _, header, *payload = (bytes(part) for part in file_parts(weights))
    return json.loads(header), b"".join(payload)


def _swap_offsets(header: dict[str, Any]) -> None:
    header["members.0.encoder.bias_ih_l0"]["data_offsets"] = header["members.0.encoder.bias_hh_l0"][
        "data_offsets"
    ]


HOSTILE_HEADERS: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "huge shape": (_set("members.0.output.weight", "shape", value=[2**40, 2**40]), "shape"),
    "negative shape": (_set("members.0.output.weight", "shape", value=[-3, -20]), "shape"),
    "other shape, same size": (_set("members.0.output.weight", "shape", value=[20, 3]), "shape"),
    "other type": (_set("members.0.output.weight", "dtype", value="I32"), "type"),
    "pickled objects": (_set("members.0.output.weight", "dtype", value="O"), "type"),
    "negative offsets": (_set("members.0.output.bias", "data_offsets", value=[-12, 0]), "bytes"),
    "offsets behind the end": (
        _set("members.0.output.bias", "data_offsets", value=[10**9, 10**9 + 12]),
        "bytes",
    ),
    "huge offsets": (_set("members.0.output.bias", "data_offsets", value=[10**400, 10**400 + 12]), "bytes"),
    "float offsets": (_set("members.0.output.bias", "data_offsets", value=[0.0, 12.0]), "bytes"),
    "overlap": (_swap_offsets, "overlap"),
    "extra tensor": (
        _set("evil", value={"dtype": "F32", "shape": [0], "data_offsets": [0, 0]}),
        "does not have",
    ),
    "missing tensor": (lambda header: header.pop("members.0.output.bias"), "missing"),
    "entry no object": (_set("members.0.output.bias", value=3), "missing"),
}


@pytest.mark.parametrize("case", HOSTILE_HEADERS)
def test_hostile_weights_header(
    case: str, saved: Path, parts: Callable[..., Any], rewritten: Callable[..., None]
) -> None:
    header, payload = header_of(parts()[2])
    change, message = HOSTILE_HEADERS[case]
    change(header)
    raw = json.dumps(header).encode()
    rewritten(saved, {"weights.safetensors": struct.pack("<Q", len(raw)) + raw + payload})
    with pytest.raises(ModelFileError, match=message) as caught:
        load(saved)
    assert "weights.safetensors" in str(caught.value)


@pytest.mark.parametrize("size", [0, 7, 2**63, 2**64 - 1])
def test_hostile_header_length(size: int, saved: Path, rewritten: Callable[..., None]) -> None:
    data = (saved / "weights.safetensors").read_bytes()
    rewritten(saved, {"weights.safetensors": struct.pack("<Q", size) + data[8:]})
    with pytest.raises(ModelFileError, match="header"):
        load(saved)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("storage", ["float32", "float16"])
@pytest.mark.parametrize("name", ["members.0.embedding.weight", "members.0.encoder.weight_hh_l0"])
def test_weights_that_are_not_numbers(
    name: str,
    storage: str,
    value: float,
    parts: Callable[..., Any],
    tmp_path: Path,
    rewritten: Callable[..., None],
) -> None:
    manifest, tokenizer, weights = parts(storage=storage)
    save_model(tmp_path / "m", manifest, tokenizer, weights)
    stored = dict(load_model(tmp_path / "m").weights)
    stored[name] = stored[name].copy()
    stored[name].flat[3] = value
    rewritten(tmp_path / "m", {"weights.safetensors": b"".join(bytes(part) for part in file_parts(stored))})
    with pytest.raises(ModelFileError, match="not finite"):
        load(tmp_path / "m")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{}",
        "[]",
        "null",
        '{"unrolled_tokenizer": "basic_english"}',
        '{"unrolled_tokenizer": ["x"], "format": 1}',
        '{"unrolled_tokenizer": "basic_english", "format": 1, "lowercase": true, "tokens": [1, 2]}',
        '{"unrolled_tokenizer": "whitespace", "format": 1, "lowercase": true, "tokens": ["<pad>", "<unk>"]}',
        '{"unrolled_tokenizer": "os.system", "format": 1}',
        '{"unrolled_tokenizer": ' + "[" * 100_000,
        '{"version": "1.0", "model": {"type": "BPE"}}',
        '{"version": "1.0", "model": {"type": "BPE", "vocab": {"a": -1}, "merges": [["a", "b"]]}}',
    ],
)
def test_hostile_tokenizer(text: str, saved: Path, rewritten: Callable[..., None]) -> None:
    rewritten(saved, {"tokenizer.json": text.encode()})
    with pytest.raises(UnrolledError, match="model") as caught:
        load(saved)
    assert isinstance(caught.value, ModelFileError)


# --- hostile zips ------------------------------------------------------------------------------


def test_zip_bomb(tmp_path: Path, saved: Path) -> None:
    bomb = tmp_path / "bomb.zip"
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("model.json", b" " * 20_000_000)
    with pytest.raises(ModelFileError, match="unpack to 20000000"):
        load(bomb)


def test_zip_that_unpacks_to_more_than_it_says(saved: Path, tmp_path: Path) -> None:
    packed = tmp_path / "m.zip"
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in FILES:
            archive.write(saved / name, name)
    data = bytearray(packed.read_bytes())
    size = (saved / "tokenizer.json").stat().st_size
    place = 0
    changed = 0
    while (place := data.find(struct.pack("<I", size), place)) >= 0:
        data[place : place + 4] = struct.pack("<I", size - 5)
        changed += 1
    assert changed == 2  # local and central header
    packed.write_bytes(bytes(data))
    with pytest.raises(ModelFileError):
        load(packed)


def test_zip_with_foreign_paths_writes_nothing(saved: Path, tmp_path: Path) -> None:
    place = tmp_path / "a" / "b"
    place.mkdir(parents=True)
    evil = place / "evil.zip"
    with zipfile.ZipFile(evil, "w") as archive:
        for name in FILES:
            archive.write(saved / name, name)
        archive.writestr("../../escaped.txt", "x")
        archive.writestr("/tmp/absolute-escaped.txt", "x")
    load(evil)
    assert not (tmp_path / "escaped.txt").exists()
    with zipfile.ZipFile(evil, "w") as archive:
        for name in FILES:
            archive.write(saved / name, "../" + name)
        archive.writestr("one/model.json", "{}")
    with pytest.raises(ModelFileError, match="more than one"):
        load(evil)


def test_zip_with_two_models_or_none(saved: Path, tmp_path: Path) -> None:
    for names, message in (
        (["readme.txt"], "no model.json"),
        (["a/model.json", "b/model.json"], "more than one"),
    ):
        with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
            for name in names:
                archive.writestr(name, "{}")
        with pytest.raises(ModelFileError, match=message):
            load(tmp_path / "x.zip")
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive, pytest.warns(UserWarning):
        archive.writestr("model.json", "{}")
        archive.writestr("model.json", "{}")
    with pytest.raises(ModelFileError, match="twice"):
        load(tmp_path / "x.zip")
