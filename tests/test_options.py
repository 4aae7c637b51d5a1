"""Options: what contradicts itself, or has no effect, is refused."""

from __future__ import annotations

from typing import Any

import pytest

from unrolled.errors import OptionError
from unrolled.options import ClassifierOptions


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "cnn", "layers": 3}, "layers has no effect with model 'cnn'"),
        ({"model": "mlp", "pooling": "max"}, "pooling has no effect with model 'mlp'"),
        ({"model": "mlp", "bidirectional": False}, "bidirectional has no effect"),
    ],
)
def test_an_option_that_the_model_does_not_use_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(OptionError, match=words):
        ClassifierOptions.of("fast", **changes)
    assert ClassifierOptions.from_dict(changes).model == changes["model"]  # as a saved model may say it
    assert ClassifierOptions.of("accurate", model="cnn", pooling="max").pooling == "max"
