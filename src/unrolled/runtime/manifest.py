"""``model.json``: what a saved model is. Read with suspicion, because anybody may have written it."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from unrolled.errors import ModelFileError, OptionError
from unrolled.options import Options
from unrolled.storage.strict_json import StrictJsonError, fingerprint, parse_object
from unrolled.storage.tensors import MAX_HEADER_BYTES, payload_bytes

FORMAT = "unrolled-model"
FORMAT_VERSION = 1
MANIFEST_NAME = "model.json"
TOKENIZER_NAME = "tokenizer.json"
WEIGHTS_NAME = "weights.safetensors"
FILE_NAMES = (TOKENIZER_NAME, WEIGHTS_NAME)
MAX_MANIFEST_BYTES = 32 * 1024 * 1024
MAX_TOKENIZER_BYTES = 512 * 1024 * 1024

#: Name of the tensor that says which n-gram buckets have a row, in a model that does not keep all.
KEPT_NAME = "ngrams.kept"
#: Types in which tables may be stored.
STORAGE = {"float32": "F32", "float16": "F16"}

_SHA256 = re.compile(r"[0-9a-f]{64}")
_OptionsT = TypeVar("_OptionsT", bound=Options)


@dataclass(frozen=True)
class Manifest(ABC):
    """The checked content of ``model.json``, whatever the task.

    Attributes:
        raw: everything, as read.
        labels: in the order of the outputs; empty for regression.
        table_rows: rows of the embedding table.
        ngram_rows: how many n-gram buckets have a row; ``None`` if all have one.
    """

    raw: dict[str, Any]
    labels: tuple[str, ...]
    table_rows: int
    ngram_rows: int | None

    @property
    @abstractmethod
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every weight."""

    @property
    @abstractmethod
    def dtypes(self) -> dict[str, str]:
        """Name -> stored type (``"F32"``, ``"F16"``, ``"I32"``, ``"I8"``) of every weight."""

    @property
    def parameters(self) -> int:
        """Number of weights."""
        dtypes = self.dtypes
        return sum(math.prod(shape) for name, shape in self.shapes.items() if dtypes[name] != "I32")

    @classmethod
    def parse(cls, raw: bytes, where: str) -> Manifest:
        """From the bytes of ``model.json``.

        Args:
            raw: the content.
            where: the file's name, for messages.

        Raises:
            ModelFileError: damaged, foreign, made by a newer version, or contradictory.
        """
        try:
            content = parse_object(raw)
        except StrictJsonError as error:
            raise ModelFileError(f"{where}: {error}. Copy or train the model again.") from None
        check_version(content, where)
        if content.pop("checksum", None) != fingerprint(content):
            raise ModelFileError(f"{where}: damaged, or changed by hand. Copy or train the model again.")
        return cls.check(content, where)

    @staticmethod
    def check(content: dict[str, Any], where: str) -> Manifest:
        """From plain values; the entries ``files`` and ``checksum`` are not looked at.

        Raises:
            ModelFileError: as :meth:`parse`.
        """
        check_version(content, where)
        task = content.get("task")
        if task == "classify":
            from unrolled.runtime.classifier_manifest import ClassifierManifest

            return ClassifierManifest.of(content, where)
        if task == "tag":
            from unrolled.runtime.tag_manifest import TagManifest

            return TagManifest.of(content, where)
        raise damaged(where)(f"task is {short(task)}, not 'classify' or 'tag'")

    def files(self, where: str) -> dict[str, tuple[int, str]]:
        """Name -> bytes and SHA-256 that each file must have, the sizes checked against the options.

        Raises:
            ModelFileError: other files than a model has, or a size that cannot be.
        """
        listed = self.raw.get("files")
        if not isinstance(listed, dict) or set(listed) != set(FILE_NAMES):
            raise ModelFileError(f"{where}: it must list exactly the files {' and '.join(FILE_NAMES)}.")
        files: dict[str, tuple[int, str]] = {}
        for name, entry in listed.items():
            size = entry.get("bytes") if isinstance(entry, dict) else None
            digest = entry.get("sha256") if isinstance(entry, dict) else None
            if (
                type(size) is not int
                or size < 1
                or not isinstance(digest, str)
                or not _SHA256.fullmatch(digest)
            ):
                raise ModelFileError(f"{where}: size or checksum of {name} is missing or damaged.")
            files[name] = (size, digest)
        if files[TOKENIZER_NAME][0] > MAX_TOKENIZER_BYTES:
            raise ModelFileError(
                f"{where}: a {TOKENIZER_NAME} of {files[TOKENIZER_NAME][0]} bytes is refused."
            )
        weights = payload_bytes(self.shapes, self.dtypes)
        size = files[WEIGHTS_NAME][0]
        if not weights + 8 < size <= weights + 8 + MAX_HEADER_BYTES:
            raise ModelFileError(
                f"{where}: the options ask for {weights} bytes of weights, but {WEIGHTS_NAME} is said to "
                f"have {size}. The file is damaged or was changed: copy or train it again."
            )
        return files


def check_version(content: dict[str, Any], where: str) -> None:
    """Refuse what is no model, or one of a newer format.

    Raises:
        ModelFileError: so it is.
    """
    if content.get("format") == "unrolled-vectors":
        raise ModelFileError(
            f"{where}: these are word vectors, not a model that answers. Ask them with: unrolled vectors "
            "similar; or start a classifier from them with: unrolled train classify --vectors"
        )
    if content.get("format") != FORMAT:
        raise ModelFileError(
            f"{where}: this is not a model of Unrolled. Give the folder that training wrote."
        )
    version = content.get("format_version")
    if type(version) is not int or version < 1:
        raise ModelFileError(f"{where}: format_version {short(version)} does not exist; the file is damaged.")
    if version > FORMAT_VERSION:
        made_by = content.get("unrolled_version")
        release = f" ({made_by})" if isinstance(made_by, str) and len(made_by) < 40 else ""
        raise ModelFileError(
            f"{where}: made by a newer Unrolled{release}, in format {short(version)}; this one reads up to "
            f"{FORMAT_VERSION}. Upgrade with: pip install --upgrade unrolled"
        )


def damaged(where: str) -> Callable[[str], ModelFileError]:
    """Makes the error for contents that cannot be."""

    def bad(what: str) -> ModelFileError:
        return ModelFileError(f"{where}: {what}. The file is damaged or was changed: copy or train it again.")

    return bad


def checked_options(content: dict[str, Any], kind: type[_OptionsT], where: str) -> _OptionsT:
    """The entry ``options``.

    Raises:
        ModelFileError: missing, or no options of that kind.
    """
    bad = damaged(where)
    options = content.get("options")
    if not isinstance(options, dict):
        raise bad("the options are missing")
    for name, value in options.items():
        if len(name) > 100 or not isinstance(value, (str, int, float)) or len(str(value)) > 4096:
            raise bad(f"option {short(name)} has a value that no option takes")
    try:
        return kind.from_dict(options)
    except OptionError as error:
        raise bad(str(error).rstrip(".")) from None


def checked_labels(content: dict[str, Any], where: str) -> tuple[str, ...]:
    """The entry ``labels``.

    Raises:
        ModelFileError: no list of different strings.
    """
    labels = content.get("labels")
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise damaged(where)("the labels are not a list of strings")
    if len(set(labels)) != len(labels):
        raise damaged(where)("a label comes twice")
    return tuple(labels)


def checked_rows(content: dict[str, Any], buckets: int, where: str) -> tuple[int, int | None]:
    """The entries ``table_rows`` and ``ngram_rows``.

    Raises:
        ModelFileError: no such numbers.
    """
    rows = content.get("table_rows")
    if type(rows) is not int or not 1 <= rows < 2**31:
        raise damaged(where)(f"table_rows must be a positive number of rows, not {short(rows)}")
    kept = content.get("ngram_rows")
    if kept is not None and (type(kept) is not int or not 0 <= kept <= min(rows, buckets)):
        raise damaged(where)(f"ngram_rows must be a number of n-gram buckets or null, not {short(kept)}")
    return rows, kept


def check_rest(content: dict[str, Any], where: str) -> None:
    """The entries that every model has beside what it computes with.

    Raises:
        ModelFileError: of another kind than they are.
    """
    storage = content.get("storage")
    embedding = storage.get("embedding") if isinstance(storage, dict) else None
    if not isinstance(embedding, str) or embedding not in STORAGE:
        raise damaged(where)("storage.embedding must be 'float32' or 'float16'")
    for name in ("metrics", "training"):
        if not isinstance(content.get(name, {}), dict):
            raise damaged(where)(f"{name} is not an object")


def number(value: object) -> float | None:
    """The value as a finite float, or ``None``."""
    if type(value) not in (int, float):
        return None
    try:
        found = float(value)  # type: ignore[arg-type]
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def short(value: object) -> str:
    """The value as text, cut for a message."""
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:60] + "..."
