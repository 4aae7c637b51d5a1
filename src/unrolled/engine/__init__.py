"""The compiled engine: recurrent layers over ragged batches of numpy arrays, neither padded nor sorted.

Ragged values are batch-major, ``(total, dim)`` with ``lengths (batch,)``: all tokens of sequence 0, then of
sequence 1, and so on. Results do not depend on the number of threads, bit for bit.

* :func:`layer_forward`, :func:`layer_backward`, :func:`prepare`, :func:`infer_layer`: a whole layer with its
  input projection.
* :func:`forward`, :func:`backward`: one direction whose projection the caller has done.
* :func:`linear`, :func:`linear_weight_gradient`, :func:`peak_flops`: dense products and their ceiling.
* :func:`embedding_bag`, :func:`bag_gradient`, :func:`number_rows`, :func:`gather`: sums of table rows.
* :func:`pool`, :func:`pool_gradient`, :func:`scale_rows`, :func:`random_mask`: pooling and dropout.
* :func:`crf_loss`, :func:`crf_marginals`, :func:`crf_decode`: linear-chain conditional random field.
* :func:`norm`, :func:`adam`, :func:`adam_rows`: the update of the weights.
* :func:`split_english`, :func:`ngram_rows`: tokens of English text, and character n-grams.
* :func:`available`, :func:`reason`, :func:`simd`, :func:`set_num_threads` ...: what is in use.
"""

from unrolled.engine.arrays import lengths_fit
from unrolled.engine.bag import bag_gradient, embedding_bag, gather, number_rows
from unrolled.engine.crf import CrfLoss, crf_decode, crf_loss, crf_marginals
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
from unrolled.engine.linear import linear, linear_weight_gradient, peak_flops
from unrolled.engine.masks import random_mask
from unrolled.engine.ngrams import ngram_rows
from unrolled.engine.pooling import pool, pool_gradient, scale_rows
from unrolled.engine.scan import Saved, Scan, ScanGradients, backward, forward
from unrolled.engine.update import AdamRule, adam, adam_rows, norm

__all__ = [
    "PRECISIONS",
    "AdamRule",
    "CrfLoss",
    "LayerGradients",
    "LayerResult",
    "Precision",
    "PreparedWeights",
    "Saved",
    "Scan",
    "ScanGradients",
    "Weights",
    "adam",
    "adam_rows",
    "available",
    "backward",
    "bag_gradient",
    "crf_decode",
    "crf_loss",
    "crf_marginals",
    "embedding_bag",
    "forward",
    "gather",
    "get_num_threads",
    "infer_layer",
    "layer_backward",
    "layer_forward",
    "lengths_fit",
    "linear",
    "linear_weight_gradient",
    "ngram_rows",
    "norm",
    "notify_missing",
    "number_rows",
    "peak_flops",
    "pool",
    "pool_gradient",
    "prepare",
    "random_mask",
    "reason",
    "scale_rows",
    "set_num_threads",
    "set_simd",
    "simd",
    "simd_choices",
    "split_english",
]
