"""Tokens and their indices, with the behaviour of ``torchtext.vocab`` 0.18 and without torch.

Source: torchtext 0.18, ``torchtext/vocab/vocab.py``, ``vocab_factory.py`` and the C++ class behind them. A
program written for torchtext needs one changed import.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from unrolled.errors import ModelFileError

_MAX_JSON = 256 * 1024 * 1024


class Vocab:
    """A two-way map between tokens and indices ``0 .. len - 1``.

    Args:
        tokens: the tokens in the order of their indices.
        default_index: index given for a token that is not there; ``None`` makes that an error.

    Raises:
        RuntimeError: if a token comes twice, as in torchtext.
    """

    __slots__ = ("_default_index", "_itos", "_stoi")

    def __init__(self, tokens: Sequence[str], default_index: int | None = None) -> None:
        self._itos = list(tokens)
        self._stoi = {token: index for index, token in enumerate(self._itos)}
        if len(self._stoi) != len(self._itos):
            doubled = next(token for token, count in Counter(self._itos).items() if count > 1)
            raise RuntimeError(f"Duplicate token found in tokens list: {doubled}")
        self._default_index: int | None = None
        self.set_default_index(default_index)

    def __call__(self, tokens: Sequence[str]) -> list[int]:
        """The same as :meth:`lookup_indices`."""
        return self.lookup_indices(tokens)

    def forward(self, tokens: Sequence[str]) -> list[int]:
        """The same as :meth:`lookup_indices`; torchtext's name for the call."""
        return self.lookup_indices(tokens)

    def __len__(self) -> int:
        return len(self._itos)

    def __contains__(self, token: object) -> bool:
        return token in self._stoi

    def __getitem__(self, token: str) -> int:
        """Index of the token, or the default index.

        Raises:
            RuntimeError: if the token is not there and no default index is set.
        """
        index = self._stoi.get(token)
        return self._missing(token) if index is None else index

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Vocab):
            return NotImplemented
        return self._itos == other._itos and self._default_index == other._default_index

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Vocab({len(self)} tokens, default_index={self._default_index})"

    def __getstate__(self) -> tuple[list[str], int | None]:
        return self._itos, self._default_index

    def __setstate__(self, state: tuple[list[str], int | None]) -> None:
        Vocab.__init__(self, *state)

    def set_default_index(self, index: int | None) -> None:
        """Sets the index of tokens that are not there. Any integer will do; ``None`` takes it away."""
        if index is not None and (isinstance(index, bool) or not isinstance(index, int)):
            raise TypeError(f"the default index must be an integer or None, got {index!r}")
        self._default_index = index

    def get_default_index(self) -> int | None:
        """The index of tokens that are not there, ``None`` if none was set."""
        return self._default_index

    def insert_token(self, token: str, index: int) -> None:
        """Puts a token at ``index`` and moves those behind it up by one.

        Raises:
            RuntimeError: if ``index`` is not in ``[0, len]`` or the token is already there.
        """
        if not 0 <= index <= len(self._itos):
            raise RuntimeError(
                f"Specified index {index} is out of bounds for vocab of size {len(self._itos)}."
            )
        self._refuse_known(token)
        self._itos.insert(index, token)
        for position in range(index, len(self._itos)):
            self._stoi[self._itos[position]] = position

    def append_token(self, token: str) -> None:
        """Adds a token behind the last.

        Raises:
            RuntimeError: if the token is already there.
        """
        self._refuse_known(token)
        self._stoi[token] = len(self._itos)
        self._itos.append(token)

    def lookup_token(self, index: int) -> str:
        """The token at ``index``.

        Raises:
            RuntimeError: if ``index`` is not in ``[0, len)``.
        """
        if not 0 <= index < len(self._itos):
            raise RuntimeError(
                f"Specified index {index} is out of bounds for vocab of size {len(self._itos)}."
            )
        return self._itos[index]

    def lookup_tokens(self, indices: Iterable[int]) -> list[str]:
        """The tokens at ``indices``.

        Raises:
            RuntimeError: if an index is not in ``[0, len)``.
        """
        return [self.lookup_token(index) for index in indices]

    def lookup_indices(self, tokens: Sequence[str]) -> list[int]:
        """The index of each token, or the default index.

        Raises:
            RuntimeError: if a token is not there and no default index is set.
            TypeError: if ``tokens`` is one string, not a list of tokens.
        """
        if isinstance(tokens, str):
            raise TypeError("expected a list of tokens, got one string; use vocab[token] for a single token")
        get = self._stoi.get
        # In the order of the tokens, so that the error names the first that is missing.
        return [self._missing(token) if (index := get(token)) is None else index for token in tokens]

    def get_stoi(self) -> dict[str, int]:
        """A new dictionary from token to index."""
        return dict(self._stoi)

    def get_itos(self) -> list[str]:
        """A new list of the tokens in the order of their indices."""
        return list(self._itos)

    def to_json(self) -> str:
        """The vocabulary as one JSON object; :meth:`from_json` reads it."""
        return json.dumps(
            {"unrolled_vocab": 1, "tokens": self._itos, "default_index": self._default_index},
            ensure_ascii=False,
        )

    @staticmethod
    def from_json(text: str) -> Vocab:
        """The vocabulary that :meth:`to_json` wrote.

        Raises:
            ModelFileError: if the text is not such a vocabulary.
        """
        if len(text) > _MAX_JSON:
            raise ModelFileError(f"vocabulary: {len(text)} characters are more than any real one; refused")
        try:
            saved = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ModelFileError(f"vocabulary: not valid JSON ({error})") from None
        if not isinstance(saved, dict) or saved.get("unrolled_vocab") != 1:
            raise ModelFileError("vocabulary: not one that this version of Unrolled wrote")
        try:
            return Vocab(checked_tokens(saved.get("tokens"), "vocabulary"), saved.get("default_index"))
        except (RuntimeError, TypeError) as error:
            raise ModelFileError(f"vocabulary: {error}") from None

    def _missing(self, token: object) -> int:
        if not isinstance(token, str):
            raise TypeError(f"a token must be a str, got {type(token).__name__}")
        if self._default_index is None:
            raise RuntimeError(f"Token {token} not found and default index is not set")
        return self._default_index

    def _refuse_known(self, token: str) -> None:
        if not isinstance(token, str):
            raise TypeError(f"a token must be a str, got {type(token).__name__}")
        if token in self._stoi:
            raise RuntimeError(f"Token {token} already exists in the Vocab with index: {self._stoi[token]}.")


def checked_tokens(tokens: object, what: str) -> list[str]:
    """The value as a list of strings read from a file; ``what`` names the file's role in the error.

    Raises:
        ModelFileError: if it is anything else.
    """
    if not isinstance(tokens, list) or not all(isinstance(token, str) for token in tokens):
        raise ModelFileError(f"{what}: 'tokens' must be a list of strings")
    return tokens


def vocab(
    ordered_dict: Mapping[str, int],
    min_freq: int = 1,
    specials: Sequence[str] | None = None,
    special_first: bool = True,
) -> Vocab:
    """A vocabulary from counted tokens, in the order of the mapping.

    Unlike torchtext's it leaves ``ordered_dict`` as it was.

    Args:
        ordered_dict: tokens and their counts. The order of insertion is the order of the indices.
        min_freq: tokens counted less often are left out; specials never are.
        specials: tokens added in the given order; their counts in the mapping are ignored.
        special_first: whether the specials come before all others or after them.

    Raises:
        RuntimeError: if a special comes twice.
    """
    specials = list(specials or ())
    apart = set(specials)
    tokens = [token for token, freq in ordered_dict.items() if freq >= min_freq and token not in apart]
    return Vocab(specials + tokens if special_first else tokens + specials)


def build_vocab_from_iterator(
    iterator: Iterable[Iterable[str]],
    min_freq: int = 1,
    specials: Sequence[str] | None = None,
    special_first: bool = True,
    max_tokens: int | None = None,
) -> Vocab:
    """A vocabulary from lists of tokens, the most frequent first, ties in the order of code points.

    Args:
        iterator: gives one list (or other iterable) of tokens a text.
        min_freq: tokens counted less often are left out; specials never are.
        specials: tokens added in the given order.
        special_first: whether the specials come before all others or after them.
        max_tokens: only the ``max_tokens - len(specials)`` most frequent tokens are looked at. This cut
            comes before specials found among them are taken out and before ``min_freq``, so the result may
            be smaller.

    Raises:
        AssertionError: if ``max_tokens`` leaves no room beside the specials, as in torchtext.
        RuntimeError: if a special comes twice.
    """
    counter: Counter[str] = Counter()
    for tokens in iterator:
        counter.update(tokens)
    specials = list(specials or ())
    ranked = sorted(counter.items(), key=lambda item: (-item[1], item[0]))
    if max_tokens is not None:
        if len(specials) >= max_tokens:
            raise AssertionError("len(specials) >= max_tokens, so the vocab will be entirely special tokens.")
        ranked = ranked[: max_tokens - len(specials)]
    return vocab(dict(ranked), min_freq=min_freq, specials=specials, special_first=special_first)
