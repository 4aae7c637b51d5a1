"""``model.json``: what a saved model is. Read with suspicion, because anybody may have written it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Any

from unrolled.errors import ModelFileError, OptionError
from unrolled.options import ClassifierOptions
from unrolled.runtime.shapes import has_wide_part, is_table, model_shapes
from unrolled.storage.strict_json import StrictJsonError, fingerprint, parse_object
from unrolled.storage.tensors import MAX_HEADER_BYTES, payload_bytes
from unrolled.text.wide import BUCKETS

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
#: Likewise for the n-grams of the wide part.
WIDE_KEPT_NAME = "wide.kept"

_INDICES = (KEPT_NAME, WIDE_KEPT_NAME)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_STORAGE = {"float32": "F32", "float16": "F16"}


@dataclass(frozen=True)
class Manifest:
    """The checked content of ``model.json``.

    Attributes:
        raw: everything, as read.
        options: how the model is built.
        labels: in the order of the outputs; empty for regression.
        table_rows: rows of the embedding table.
        ngram_rows: how many n-gram buckets have a row; ``None`` if all have one.
        wide_rows: n-grams of the wide part; ``None`` if the model has none.
        shares: how much the members' log-probabilities and the wide part's scores count.
        temperature: scores are divided by it before softmax or sigmoid.
        target: mean and standard deviation of a regression target, else ``None``.
    """

    raw: dict[str, Any]
    options: ClassifierOptions
    labels: tuple[str, ...]
    table_rows: int
    ngram_rows: int | None
    wide_rows: int | None
    shares: tuple[float, float]
    temperature: float
    target: tuple[float, float] | None

    @property
    def outputs(self) -> int:
        """Scores a text."""
        return 1 if self.options.task == "regression" else len(self.labels)

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every weight."""
        shapes = model_shapes(self.options, self.table_rows, self.outputs, self.wide_rows)
        if self.ngram_rows is not None:
            shapes[KEPT_NAME] = (self.ngram_rows,)
        if self.wide_rows is not None:
            shapes[WIDE_KEPT_NAME] = (self.wide_rows,)
        return shapes

    @property
    def dtypes(self) -> dict[str, str]:
        """Name -> stored type (``"F32"``, ``"F16"``, ``"I32"``) of every weight."""
        table = _STORAGE[self.raw["storage"]["embedding"]]
        return {
            name: "I32" if name in _INDICES else table if is_table(name) else "F32" for name in self.shapes
        }

    @property
    def parameters(self) -> int:
        """Number of weights."""
        return sum(math.prod(shape) for name, shape in self.shapes.items() if name not in _INDICES)

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
        _check_version(content, where)
        if content.pop("checksum", None) != fingerprint(content):
            raise ModelFileError(f"{where}: damaged, or changed by hand. Copy or train the model again.")
        return cls.check(content, where)

    @classmethod
    def check(cls, content: dict[str, Any], where: str) -> Manifest:
        """From plain values; the entries ``files`` and ``checksum`` are not looked at.

        Raises:
            ModelFileError: as :meth:`parse`.
        """
        _check_version(content, where)

        def bad(what: str) -> ModelFileError:
            return ModelFileError(
                f"{where}: {what}. The file is damaged or was changed: copy or train it again."
            )

        if content.get("task") != "classify":
            raise bad(f"task is {_short(content.get('task'))}, not 'classify'")
        options = content.get("options")
        if not isinstance(options, dict):
            raise bad("the options are missing")
        for name, value in options.items():
            if len(name) > 100 or not isinstance(value, (str, int, float)) or len(str(value)) > 4096:
                raise bad(f"option {_short(name)} has a value that no option takes")
        try:
            parsed = ClassifierOptions.from_dict(options)
        except OptionError as error:
            raise bad(str(error).rstrip(".")) from None
        labels = content.get("labels")
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise bad("the labels are not a list of strings")
        if len(set(labels)) != len(labels):
            raise bad("a label comes twice")
        if bool(labels) == (parsed.task == "regression"):
            raise bad("a classifier has labels and a regression has none, but here it is otherwise")
        rows = content.get("table_rows")
        if type(rows) is not int or not 1 <= rows < 2**31:
            raise bad(f"table_rows must be a positive number of rows, not {_short(rows)}")
        kept = content.get("ngram_rows")
        if kept is not None and (type(kept) is not int or not 0 <= kept <= min(rows, parsed.ngram_buckets)):
            raise bad(f"ngram_rows must be a number of n-gram buckets or null, not {_short(kept)}")
        wide_rows, shares = None, (1.0, 0.0)
        if has_wide_part(parsed):
            wide = content.get("wide")
            wide = wide if isinstance(wide, dict) else {}
            wide_rows = wide.get("rows")
            if type(wide_rows) is not int or not 0 <= wide_rows <= BUCKETS:
                raise bad(f"wide.rows must be a number of n-grams, not {_short(wide_rows)}")
            network, other = _number(wide.get("network_share")), _number(wide.get("wide_share"))
            if network is None or other is None or not (0 <= network <= 1e3 and 0 <= other <= 1e3):
                raise bad("the shares of the network and of the wide part must lie between 0 and 1000")
            shares = network, other
        elif content.get("wide") is not None:
            raise bad("it has a wide part that its options exclude")
        temperature = _number(content.get("temperature"))
        if temperature is None or not 1e-3 <= temperature <= 1e3:
            raise bad(
                f"temperature must lie between 0.001 and 1000, not {_short(content.get('temperature'))}"
            )
        target = _target(content.get("target")) if parsed.task == "regression" else None
        if parsed.task == "regression" and target is None:
            raise bad("a regression needs the mean and standard deviation of its target")
        storage = content.get("storage")
        embedding = storage.get("embedding") if isinstance(storage, dict) else None
        if not isinstance(embedding, str) or embedding not in _STORAGE:
            raise bad("storage.embedding must be 'float32' or 'float16'")
        for name in ("metrics", "training"):
            if not isinstance(content.get(name, {}), dict):
                raise bad(f"{name} is not an object")
        return cls(content, parsed, tuple(labels), rows, kept, wide_rows, shares, temperature, target)

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


def _check_version(content: dict[str, Any], where: str) -> None:
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
        raise ModelFileError(
            f"{where}: format_version {_short(version)} does not exist; the file is damaged."
        )
    if version > FORMAT_VERSION:
        made_by = content.get("unrolled_version")
        release = f" ({made_by})" if isinstance(made_by, str) and len(made_by) < 40 else ""
        raise ModelFileError(
            f"{where}: made by a newer Unrolled{release}, in format {_short(version)}; this one reads up to "
            f"{FORMAT_VERSION}. Upgrade with: pip install --upgrade unrolled"
        )


def _target(value: object) -> tuple[float, float] | None:
    if not isinstance(value, dict):
        return None
    mean, std = _number(value.get("mean")), _number(value.get("std"))
    return None if mean is None or std is None or std <= 0 else (mean, std)


def _number(value: object) -> float | None:
    """The value as a finite float, or ``None``."""
    if type(value) not in (int, float):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def _short(value: object) -> str:
    shown = repr(value)
    return shown if len(shown) <= 60 else shown[:60] + "..."
