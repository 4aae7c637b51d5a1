"""Token ids to vectors, on numpy: one-hot, lookup, and tables of known vectors."""

from unrolled.embed.embedding import lookup, vectors_for
from unrolled.embed.one_hot import one_hot

__all__ = ["lookup", "one_hot", "vectors_for"]
