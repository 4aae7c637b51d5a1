"""One sequence at a time: our layers on numpy, prepared once, against ONNX Runtime and torch.nn, in one run.

    python benchmarks/latency.py [--steps 30] [--rounds 31] [--json FILE]

Peer: pip install onnx onnxruntime. An LSTM in one direction, as wide outside as inside. ONNX Runtime gets its
LSTM operator, with one and with two threads, and the faster of the two is taken as its figure; so are ours.
Contenders alternate; a figure is the median over the rounds, in brackets the minimum; a ratio is that of
medians. Beside it stands the largest difference from torch's answer, which for reduced weights is what they
cost in accuracy on weights at random.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from alternating import alternate, ratio
from measuring import machine

from unrolled import engine

THREADS = (1, 2)


def onnx_lstm(weights: engine.Weights, hidden: int, threads: int) -> Callable[[np.ndarray], np.ndarray]:
    """ONNX Runtime's LSTM over ``(steps, 1, inputs)``; its gates are ordered i, o, f, g."""
    import onnxruntime
    from onnx import TensorProto, helper, numpy_helper

    order = np.r_[0:hidden, 3 * hidden : 4 * hidden, hidden : 2 * hidden, 2 * hidden : 3 * hidden]
    inputs = weights.w_ih.shape[1]
    assert weights.b_ih is not None
    assert weights.b_hh is not None
    constants = [
        numpy_helper.from_array(weights.w_ih[order][None], "W"),
        numpy_helper.from_array(weights.w_hh[order][None], "R"),
        numpy_helper.from_array(np.concatenate([weights.b_ih[order], weights.b_hh[order]])[None], "B"),
    ]
    graph = helper.make_graph(
        [helper.make_node("LSTM", ["x", "W", "R", "B"], ["y"], hidden_size=hidden)],
        "lstm",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["steps", 1, inputs])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["steps", 1, 1, hidden])],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )

    def run(x: np.ndarray) -> np.ndarray:
        answer: np.ndarray = session.run(None, {"x": x[:, None]})[0][:, 0, 0]
        return answer

    return run


def ours(
    weights: engine.Weights, precision: engine.Precision, threads: int
) -> Callable[[np.ndarray], np.ndarray]:
    prepared = engine.prepare("lstm", [weights], precision=precision)

    def run(x: np.ndarray) -> np.ndarray:
        engine.set_num_threads(threads)
        return engine.infer_layer("lstm", x, np.array([len(x)]), prepared).out

    return run


def measure(hidden: int, steps: int, rounds: int) -> dict[str, object]:
    torch.manual_seed(0)
    layer = torch.nn.LSTM(hidden, hidden, batch_first=True)
    weights = engine.Weights(*(p.detach().numpy() for p in layer.parameters()))
    x = np.random.default_rng(0).standard_normal((steps, hidden)).astype(np.float32)

    def plain(x: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return layer(torch.from_numpy(x)[None])[0][0].numpy()

    contenders: dict[str, Callable[[np.ndarray], np.ndarray]] = {"torch.nn": plain}
    for threads in THREADS:
        contenders[f"onnxruntime, {threads} threads"] = onnx_lstm(weights, hidden, threads)
        for precision in engine.PRECISIONS:
            contenders[f"{precision}, {threads} threads"] = ours(weights, precision, threads)
    expected = plain(x)
    differences = {name: float(np.abs(call(x) - expected).max()) for name, call in contenders.items()}
    times = alternate({name: lambda c=c: c(x) for name, c in contenders.items()}, rounds=rounds)
    print(f"\nhidden {hidden}, {steps} steps, one sequence: milliseconds")
    for name, time in times.items():
        print(
            f"  {name:24}{time.median * 1e3:8.3f} ({time.least * 1e3:.3f})   "
            f"differs from torch by {differences[name]:.0e}"
        )

    def best(name: str) -> str:
        return min((f"{name}, {t} threads" for t in THREADS), key=lambda key: times[key].median)

    peer = best("onnxruntime")
    row: dict[str, object] = {"hidden": hidden, "steps": steps, "onnxruntime ms": times[peer].median * 1e3}
    for precision in engine.PRECISIONS:
        name = best(precision)
        row[f"{precision} ms"] = times[name].median * 1e3
        row[f"{precision} ratio"] = ratio(times[peer], times[name])
        print(f"  ratio {peer} / {name}: {row[f'{precision} ratio']:.2f}")
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=31)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    # Threads that spin while others compute would be measured too.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    about = machine("torch", "onnxruntime", "numpy")
    print(", ".join(f"{k} {v}" for k, v in about.items()) + f", {engine.simd()}")
    rows = [measure(hidden, options.steps, options.rounds) for hidden in (128, 256)]
    if options.json:
        options.json.write_text(json.dumps({"machine": about, "rows": rows}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
