"""The class that users meet: every kind of source, every way out."""

from __future__ import annotations

import doctest
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from toy_training import SMALL, order_pairs

from unrolled.errors import DataError, OptionError
from unrolled.train import Classifier
from unrolled.train import classifier as module

PAIRS = order_pairs(60, 1)
TEXTS, LABELS = [text for text, _ in PAIRS], [label for _, label in PAIRS]


def test_the_example_in_the_docstring_runs() -> None:
    result = doctest.testmod(module)
    assert result.attempted >= 5 and result.failed == 0


def tsv(folder: Path) -> Path:
    path = folder / "data.tsv"
    path.write_text(
        "text\tlabel\n" + "".join(f"{text}\t{label}\n" for text, label in PAIRS), encoding="utf-8"
    )
    return path


def pandas_frame(_: Path) -> Any:
    return pytest.importorskip("pandas").DataFrame({"label": LABELS, "text": TEXTS})


class HuggingFaceLike:
    """What ``unrolled.data`` needs of a ``datasets.Dataset``."""

    column_names = ("text", "label")
    features = None

    def __len__(self) -> int:
        return len(TEXTS)

    def __getitem__(self, part: slice) -> dict[str, list[str]]:
        return {"text": TEXTS[part], "label": LABELS[part]}


@pytest.mark.parametrize(
    "source",
    [
        lambda folder: tsv(folder),
        lambda folder: str(tsv(folder)),
        lambda _: PAIRS,
        lambda _: (TEXTS, LABELS),
        lambda _: [{"text": text, "label": label} for text, label in PAIRS],
        lambda _: ((text, label) for text, label in PAIRS),
        pandas_frame,
        lambda _: HuggingFaceLike(),
    ],
    ids=["path", "string", "pairs", "texts and labels", "dicts", "generator", "pandas", "data set"],
)
def test_sources_give_the_same_model(tmp_path: Path, source: Callable[[Path], Any]) -> None:
    expected = Classifier(**{**SMALL, "epochs": 1}).fit(PAIRS, PAIRS, quiet=True)
    found = Classifier(**{**SMALL, "epochs": 1}).fit(source(tmp_path), PAIRS, quiet=True)
    assert (found.probabilities(TEXTS) == expected.probabilities(TEXTS)).all()


def test_standard_input_is_read_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = tsv(tmp_path).read_bytes()
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    model = Classifier(**{**SMALL, "epochs": 1, "tokenizer": "bpe", "vocab_size": 60}).fit("-", quiet=True)
    assert model.labels == ["sunny", "wet"]
    assert model.predictor.info()["training"]["data"]["train"]["name"] == "-"


def test_fit_save_load_evaluate(tmp_path: Path) -> None:
    model = Classifier(**SMALL).fit(PAIRS, quiet=True, out=tmp_path / "made")
    model.save(tmp_path / "copy.zip")
    for path in (tmp_path / "made", tmp_path / "copy.zip"):
        again = Classifier.load(path)
        assert again.options == model.options and again.labels == ["sunny", "wet"]
        assert (again.probabilities(TEXTS) == model.probabilities(TEXTS)).all()
        assert [answer.label for answer in again.predict(TEXTS[:3])] == [
            a.label for a in model.predict(TEXTS[:3])
        ]
    figures = model.evaluate(tsv(tmp_path), label_column="label")
    assert figures["n"] == 60 and figures["accuracy"] == model.evaluate(PAIRS)["accuracy"]


def test_columns_bad_rows_and_notes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "data.csv"
    lines = [f"{number},{text},{label}" for number, (text, label) in enumerate(PAIRS)]
    path.write_text("\n".join(["id,what,verdict", *lines, "99,,wet"]), encoding="utf-8")
    model = Classifier(**{**SMALL, "epochs": 1})
    with pytest.raises(DataError, match=r"data\.csv:62"):
        model.fit(path, text_column="what", label_column="verdict", quiet=True)
    model.fit(path, text_column="what", label_column=3, skip_bad_rows=True)
    assert model.labels == ["sunny", "wet"]
    errors = capsys.readouterr().err
    assert "rows left out: 1 with" in errors and "data.csv:62" in errors
    assert "epoch 1: train loss" in errors


def test_misuse_is_an_option_error() -> None:
    with pytest.raises(OptionError, match="Did you mean 'hidden'"):
        Classifier(hiden=3)
    with pytest.raises(OptionError, match="not trained yet"):
        Classifier().predict(["a"])
    assert repr(Classifier()) == "<Classifier lstm, not trained>"
