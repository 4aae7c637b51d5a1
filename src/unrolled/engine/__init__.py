"""The compiled engine: recurrent layers over ragged batches of numpy arrays, neither padded nor sorted.

Ragged values are batch-major, ``(total, dim)`` with ``lengths (batch,)``: all tokens of sequence 0, then of
sequence 1, and so on. Results do not depend on the number of threads, bit for bit.

* :func:`layer_forward`, :func:`layer_backward`, :func:`prepare`, :func:`infer_layer`: a whole layer with its
  input projection.
* :func:`forward`, :func:`backward`: one direction whose projection the caller has done.
* :func:`linear`, :func:`linear_weight_gradient`, :func:`gather`, :func:`embedding_bag`: the dense
  products and lookups around it.
* :func:`split_english`: tokens of English text.
* :func:`available`, :func:`reason`, :func:`simd`, :func:`set_num_threads` ...: what is in use.
"""

from unrolled.engine.english import split_english
from unrolled.engine.layer import (
    PRECISIONS,
    LayerGradients,
    LayerResult,
    Precision,
    PreparedWeights,
    Weights,
    infer_layer,
    layer_backward,
    layer_forward,
    prepare,
)
from unrolled.engine.library import (
    available,
    get_num_threads,
    notify_missing,
    reason,
    set_num_threads,
    set_simd,
    simd,
    simd_choices,
)
from unrolled.engine.linear import embedding_bag, gather, linear, linear_weight_gradient, peak_flops
from unrolled.engine.scan import Saved, Scan, ScanGradients, backward, forward

__all__ = [
    "PRECISIONS",
    "LayerGradients",
    "LayerResult",
    "Precision",
    "PreparedWeights",
    "Saved",
    "Scan",
    "ScanGradients",
    "Weights",
    "available",
    "backward",
    "embedding_bag",
    "forward",
    "gather",
    "get_num_threads",
    "infer_layer",
    "layer_backward",
    "layer_forward",
    "linear",
    "linear_weight_gradient",
    "notify_missing",
    "peak_flops",
    "prepare",
    "reason",
    "set_num_threads",
    "set_simd",
    "simd",
    "simd_choices",
    "split_english",
]
