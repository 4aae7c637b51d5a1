"""Ids to vectors, with gradients: the embedding layer, and one-hot tensors to compare it with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, overload

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from unrolled.embed.embedding import out_of_range, vectors_for
from unrolled.errors import OptionError
from unrolled.layers.traced import is_traced
from unrolled.text.batch import SequenceBatch


class TokenList(Protocol):
    """A vocabulary that can list its tokens in the order of their ids."""

    def get_itos(self) -> list[str]: ...


class Embedding(nn.Module):
    """A table of one trainable vector an id.

    The parameter is called ``weight``, ``(num_embeddings, embedding_dim)``, and drawn from the standard
    normal distribution, as in ``torch.nn.Embedding``: a ``state_dict`` loads either way and the same seed
    gives the same table.

    Args:
        num_embeddings: number of ids.
        embedding_dim: features of a vector.
        padding_idx: an id whose vector is zero at first and gets no gradient.
        sparse: make the gradient of ``weight`` a sparse tensor, with rows only for the ids of the batch.
        device: where the table lives.
        dtype: of the table.

    Raises:
        OptionError: if a size or ``padding_idx`` is out of range.
    """

    def __init__(
        self,
        num_embeddings: int,
        embedding_dim: int,
        padding_idx: int | None = None,
        *,
        sparse: bool = False,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__()
        for name, size in (("num_embeddings", num_embeddings), ("embedding_dim", embedding_dim)):
            if size < 1:
                raise OptionError(f"{name} must be at least 1, got {size!r}")
        if padding_idx is not None and not -num_embeddings <= padding_idx < num_embeddings:
            raise OptionError(
                f"padding_idx {padding_idx} is out of range for a table of {num_embeddings} rows"
            )
        self.num_embeddings = num_embeddings
        self.embedding_dim = embedding_dim
        self.padding_idx = None if padding_idx is None else padding_idx % num_embeddings
        self.sparse = sparse
        self.weight = nn.Parameter(torch.empty(num_embeddings, embedding_dim, device=device, dtype=dtype))
        self.reset_parameters()

    @classmethod
    def from_vectors(
        cls,
        vectors: Tensor | ArrayLike | Mapping[str, ArrayLike],
        vocab: Sequence[str] | TokenList | None = None,
        *,
        freeze: bool = False,
        padding_idx: int | None = None,
        sparse: bool = False,
        seed: int = 0,
    ) -> Embedding:
        """An embedding that starts from given vectors.

        Args:
            vectors: a table ``(size, dim)``, row ``i`` for id ``i``; or a mapping from token to vector
                ``(dim,)``.
            vocab: with a mapping, the tokens in the order of their ids, or a ``Vocab``. A token without a
                vector gets a random one like the others, see :func:`unrolled.embed.vectors_for`.
            freeze: keep the vectors as they are; otherwise training tunes them.
            padding_idx: an id whose vector gets no gradient. Its given vector is kept in a table; from a
                mapping, where it rarely has one, it is zero.
            sparse: as for the class.
            seed: of the random vectors.

        Raises:
            OptionError: if a mapping comes without a vocabulary, or a table with one.
            ValueError: if the vectors do not form a table ``(size, dim)``.
        """
        table: Tensor | NDArray[np.float32]
        if isinstance(vectors, Mapping):
            if vocab is None:
                raise OptionError("vectors given by token need vocab=, the tokens in the order of their ids")
            tokens = vocab if isinstance(vocab, Sequence) else vocab.get_itos()
            rows, found = vectors_for(tokens, vectors, seed=seed)
            if padding_idx is not None and not found[padding_idx]:
                rows[padding_idx] = 0.0
            table = rows
        elif vocab is not None:
            raise OptionError(
                "vocab= belongs to vectors given by token; a table is already in the order of the ids"
            )
        else:
            table = vectors if isinstance(vectors, Tensor) else np.asarray(vectors, dtype=np.float32)
        weight = torch.as_tensor(table).detach().clone()
        if weight.dim() != 2 or not weight.is_floating_point():
            raise ValueError(
                f"expected vectors of shape (size, dim), got {tuple(weight.shape)} of {weight.dtype}"
            )
        # "meta" spares the random draw of a table that is replaced at once.
        module = cls(weight.shape[0], weight.shape[1], padding_idx, sparse=sparse, device="meta")
        module.weight = nn.Parameter(weight, requires_grad=not freeze)
        return module

    def reset_parameters(self) -> None:
        """Draw the table anew."""
        with torch.no_grad():
            nn.init.normal_(self.weight)
            if self.padding_idx is not None:
                self.weight[self.padding_idx] = 0.0

    @overload
    def forward(self, ids: Tensor) -> Tensor: ...
    @overload
    def forward(self, ids: SequenceBatch) -> SequenceBatch: ...
    def forward(self, ids: Tensor | SequenceBatch) -> Tensor | SequenceBatch:
        """The vector of each id.

        Args:
            ids: integers ``(batch, seq)`` or of any other shape; or a ``SequenceBatch`` of ids, numpy or
                torch.

        Returns:
            ``(batch, seq, dim)``; for a ``SequenceBatch`` one of tensors with values ``(total_tokens, dim)``.

        Raises:
            IndexError: if an id is not in the table; names the id and the size of the table, unless compiled.
        """
        if isinstance(ids, SequenceBatch):
            values = torch.as_tensor(ids.values, device=self.weight.device)
            return SequenceBatch(self.forward(values), torch.as_tensor(ids.lengths))
        _check_ids(ids, self.num_embeddings)
        return F.embedding(ids, self.weight, self.padding_idx, sparse=self.sparse)

    def extra_repr(self) -> str:
        """Sizes and what differs from the default."""
        text = f"{self.num_embeddings}, {self.embedding_dim}"
        text += "" if self.padding_idx is None else f", padding_idx={self.padding_idx}"
        text += ", sparse=True" if self.sparse else ""
        return text + ("" if self.weight.requires_grad else ", frozen")


def one_hot(ids: Tensor, size: int, *, dtype: torch.dtype = torch.float32) -> Tensor:
    """A vector for each id, 1 at the id's place and 0 elsewhere: ``(...) -> (..., size)``.

    ``one_hot(ids, size) @ weight`` equals ``Embedding`` with that ``weight`` exactly, gradient included.

    Raises:
        IndexError: if an id is negative or not below ``size``.
    """
    _check_ids(ids, size)
    vectors = torch.zeros(*ids.shape, size, dtype=dtype, device=ids.device)
    return vectors.scatter_(-1, ids.long().unsqueeze(-1), 1.0)


def _check_ids(ids: Tensor, size: int) -> None:
    if ids.is_floating_point() or ids.dtype == torch.bool:
        raise TypeError(f"ids must be integers, got {ids.dtype}")
    # While tracing there are no ids to look at; torch refuses those out of range when the graph runs.
    if is_traced() or ids.numel() == 0:
        return
    lowest, highest = (int(bound) for bound in torch.aminmax(ids))
    if lowest < 0 or highest >= size:
        raise IndexError(out_of_range(lowest if lowest < 0 else highest, size))
