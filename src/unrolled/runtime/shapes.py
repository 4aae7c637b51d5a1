"""Which weights a model has, and their shapes, from its options alone. The contract between both sides."""

from __future__ import annotations

from unrolled.options import ClassifierOptions

#: Windows of the convolutional encoder.
CNN_WIDTHS = (3, 4, 5)
GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def member_shapes(options: ClassifierOptions, table_rows: int, outputs: int) -> dict[str, tuple[int, ...]]:
    """Name -> shape of the weights of one member.

    Recurrent weights carry the names and shapes of torch (``encoder.weight_ih_l0`` is ``(gates * hidden,
    input)``).

    Args:
        options: of the model.
        table_rows: rows of the embedding table, vocabulary and n-gram buckets together.
        outputs: scores a text: the number of labels, or 1 for regression.
    """
    dim, hidden = options.embed_dim, options.hidden
    shapes: dict[str, tuple[int, ...]] = {"embedding.weight": (table_rows, dim)}
    if options.model == "mlp":
        shapes["encoder.weight"] = (hidden, dim)
        shapes["encoder.bias"] = (hidden,)
        pooled = hidden
    elif options.model == "cnn":
        for index, width in enumerate(CNN_WIDTHS):
            shapes[f"encoder.convolutions.{index}.weight"] = (hidden, dim, width)
            shapes[f"encoder.convolutions.{index}.bias"] = (hidden,)
        pooled = hidden * len(CNN_WIDTHS)
    else:
        gates = GATES[options.model] * hidden
        directions = ("", "_reverse") if options.bidirectional else ("",)
        pooled = hidden * len(directions)
        for layer in range(options.layers):
            for direction in directions:
                end = f"_l{layer}{direction}"
                shapes[f"encoder.weight_ih{end}"] = (gates, dim if layer == 0 else pooled)
                shapes[f"encoder.weight_hh{end}"] = (gates, hidden)
                shapes[f"encoder.bias_ih{end}"] = (gates,)
                shapes[f"encoder.bias_hh{end}"] = (gates,)
    if options.model != "mlp" and options.pooling == "attention":
        shapes["pooling.weight"] = (1, pooled)
        shapes["pooling.bias"] = (1,)
    if options.model != "mlp" and options.pooling == "mean+max":
        pooled *= 2
    shapes["output.weight"] = (outputs, pooled)
    shapes["output.bias"] = (outputs,)
    return shapes


def model_shapes(
    options: ClassifierOptions, table_rows: int, outputs: int, wide_rows: int | None = None
) -> dict[str, tuple[int, ...]]:
    """Name -> shape of all float weights in the file: those of member ``k`` under ``members.{k}.``, those of
    the wide part, which has ``wide_rows`` n-grams, under ``wide.``."""
    member = member_shapes(options, table_rows, outputs)
    shapes = {f"members.{k}.{name}": shape for k in range(options.members) for name, shape in member.items()}
    if wide_rows is not None:
        shapes |= {"wide.weight": (wide_rows, outputs), "wide.bias": (outputs,)}
    return shapes


def has_wide_part(options: ClassifierOptions) -> bool:
    """Whether the model has a wide part: a regression has none."""
    return options.wide and options.task != "regression"


def is_table(name: str) -> bool:
    """Whether the weight is a table of rows looked up, the only kind that may be stored in half precision."""
    return name.endswith("embedding.weight") or name == "wide.weight"
