"""``model.json`` of a tagger."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self, cast

from unrolled.data.spans import SCHEMES, Scheme
from unrolled.options import TaggerOptions
from unrolled.runtime.manifest import (
    KEPT_NAME,
    STORAGE,
    Manifest,
    check_rest,
    checked_labels,
    checked_options,
    checked_rows,
    damaged,
    number,
    short,
)
from unrolled.runtime.shapes import GATES
from unrolled.text.windows import BUCKETS
from unrolled.text.word_features import WORD_END

#: Name of the table of fixed vectors.
FIXED_NAME = "vectors.weight"
#: Names of the wide part: the buckets that have a row, the rows, and what a tag's numbers in them are worth.
WIDE_KEPT_NAME, WIDE_NAME, WIDE_SCALE_NAME = "wide.kept", "wide.weight", "wide.scale"
_MOST_CHARACTERS = 1 << 21
_CRF = ("crf.transitions", "crf.start", "crf.end")


@dataclass(frozen=True)
class TagManifest(Manifest):
    """The checked content of ``model.json``.

    Attributes:
        options: how the model is built.
        characters: rows of the table of characters.
        crf: whether the tags of a sentence are decided together.
        scheme: in which spans are written by the user; ``"none"`` for plain tags. The model's own tags of
            spans are BIOES.
        by_character: each character is a word of its own.
        outside: is added to the scores of the tag O.
        wide_rows: features of the wide part; ``None`` without.
        shares: how much the scores of the network and of the wide part count.
        fixed: rows and width of the table of fixed vectors, ``(0, 0)`` without.
    """

    options: TaggerOptions
    characters: int
    crf: bool
    scheme: Scheme
    by_character: bool
    outside: float
    wide_rows: int | None
    shares: tuple[float, float]
    fixed: tuple[int, int]

    @property
    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Name -> shape of every weight."""
        member = tagger_shapes(
            self.options, self.table_rows, self.characters, len(self.labels), self.fixed[1], self.crf
        )
        shapes = {
            f"members.{k}.{name}": shape
            for k in range(self.options.members)
            for name, shape in member.items()
        }
        if self.ngram_rows is not None:
            shapes[KEPT_NAME] = (self.ngram_rows,)
        if self.fixed[0]:
            shapes[FIXED_NAME] = self.fixed
        if self.wide_rows is not None:
            shapes[WIDE_KEPT_NAME] = (self.wide_rows,)
            shapes[WIDE_NAME] = (self.wide_rows, len(self.labels))
            shapes[WIDE_SCALE_NAME] = (len(self.labels),)
        return shapes

    @property
    def dtypes(self) -> dict[str, str]:
        """Name -> stored type of every weight: all may be in half precision but the scores of a CRF."""
        special = {KEPT_NAME: "I32", FIXED_NAME: "F16"}
        special |= {WIDE_KEPT_NAME: "I32", WIDE_NAME: "I8", WIDE_SCALE_NAME: "F32"}
        stored = STORAGE[self.raw["storage"]["embedding"]]
        return {name: special.get(name, "F32" if ".crf." in name else stored) for name in self.shapes}

    @classmethod
    def of(cls, content: dict[str, Any], where: str) -> Self:
        """From plain values.

        Raises:
            ModelFileError: contradictory.
        """
        bad = damaged(where)
        options = checked_options(content, TaggerOptions, where)
        labels = checked_labels(content, where)
        if len(labels) < 2:
            raise bad("a tagger has two labels or more")
        rows, kept = checked_rows(content, options.ngram_buckets, where)
        characters = content.get("characters")
        if type(characters) is not int or not WORD_END < characters < _MOST_CHARACTERS:
            raise bad(f"characters must be a number of characters, not {short(characters)}")
        crf, by_character = content.get("crf"), content.get("by_character")
        if not isinstance(crf, bool) or not isinstance(by_character, bool):
            raise bad("crf and by_character must be true or false")
        outside = number(content.get("outside"))
        if outside is None or abs(outside) > 1e3:
            raise bad(f"outside must lie between -1000 and 1000, not {short(content.get('outside'))}")
        wide_rows, shares = _wide(content, options, where)
        scheme = content.get("scheme")
        if scheme not in SCHEMES:
            raise bad(f"scheme {short(scheme)} does not exist")
        fixed = content.get("fixed")
        sizes: list[Any] = [0, 0]
        if isinstance(fixed, dict):
            sizes = [fixed.get(name) for name in ("words", "dim")]
        if not all(type(size) is int and 0 <= size < 2**31 for size in sizes) or bool(sizes[0]) != bool(
            sizes[1]
        ):
            raise bad("fixed must give the words and the width of the vectors")
        check_rest(content, where)
        return cls(
            content,
            labels,
            rows,
            kept,
            options,
            characters,
            crf,
            cast(Scheme, scheme),
            by_character,
            outside,
            wide_rows,
            shares,
            (sizes[0], sizes[1]),
        )


def _wide(
    content: dict[str, Any], options: TaggerOptions, where: str
) -> tuple[int | None, tuple[float, float]]:
    wide = content.get("wide")
    if not options.wide:
        if wide is not None:
            raise damaged(where)("it has a wide part that its options exclude")
        return None, (1.0, 0.0)
    wide = wide if isinstance(wide, dict) else {}
    rows = wide.get("rows")
    if type(rows) is not int or not 0 <= rows <= BUCKETS:
        raise damaged(where)(f"wide.rows must be a number of features, not {short(rows)}")
    network, other = number(wide.get("network_share")), number(wide.get("wide_share"))
    if network is None or other is None or not (0 <= network <= 1e3 and 0 <= other <= 1e3):
        raise damaged(where)("the shares of the network and of the wide part must lie between 0 and 1000")
    return rows, (network, other)


def tagger_shapes(
    options: TaggerOptions, table_rows: int, characters: int, tags: int, fixed: int, crf: bool
) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the weights of one member; recurrent ones with the names and shapes of torch.

    Args:
        options: of the model.
        table_rows, characters: rows of the tables of words and of characters.
        tags: number of tags.
        fixed: width of the fixed vectors, 0 without.
        crf: whether there is a CRF.
    """
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (table_rows, options.embed_dim)}
    width = options.embed_dim + fixed
    if options.characters == "lstm":
        shapes["characters.weight"] = (characters, options.char_dim)
        shapes |= _recurrent("speller", "lstm", options.char_dim, options.char_hidden, 1)
        width += 2 * options.char_hidden
    shapes |= _recurrent("encoder", options.model, width, options.hidden, options.layers)
    shapes["output.weight"] = (tags, 2 * options.hidden)
    shapes["output.bias"] = (tags,)
    if crf:
        shapes |= dict(zip(_CRF, ((tags, tags), (tags,), (tags,)), strict=True))
    return shapes


def _recurrent(part: str, kind: str, width: int, hidden: int, layers: int) -> dict[str, tuple[int, ...]]:
    """The weights of bidirectional layers."""
    gates = GATES[kind] * hidden
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in range(layers):
        for end in (f"_l{layer}", f"_l{layer}_reverse"):
            shapes[f"{part}.weight_ih{end}"] = (gates, width if layer == 0 else 2 * hidden)
            shapes[f"{part}.weight_hh{end}"] = (gates, hidden)
            shapes[f"{part}.bias_ih{end}"] = (gates,)
            shapes[f"{part}.bias_hh{end}"] = (gates,)
    return shapes
