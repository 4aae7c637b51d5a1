"""One sequence at a time: our layers on numpy, without torch, against ONNX Runtime, in one run.

    python benchmarks/latency.py [--steps 30] [--rounds 15] [--json FILE]

Peer: pip install onnx onnxruntime. An LSTM in one direction, as wide outside as inside. ONNX Runtime gets its
LSTM operator, with one and with two threads, and the faster of the two is taken as its figure; so are ours.
Each contender is a process of its own that is stopped while others have their turn. A figure is the median
over the rounds, in brackets the minimum; a ratio is that of medians. Beside it stands the largest difference
from ONNX Runtime's answer, which for reduced weights is what they cost in accuracy on weights at random.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import signal
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from alternating import Times, least_ratio, ratio
from measuring import machine

from unrolled import engine

THREADS = (1, 2)
WARM, TURN = 0.02, 0.1  # seconds of a turn: not timed, timed


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


def inputs(hidden: int, steps: int) -> tuple[engine.Weights, np.ndarray]:
    random = np.random.default_rng(0)
    reach, rows = hidden**-0.5, 4 * hidden  # torch's own start
    shapes = ((rows, hidden), (rows, hidden), (rows,), (rows,))
    weights = engine.Weights(*(random.uniform(-reach, reach, shape).astype(np.float32) for shape in shapes))
    return weights, random.standard_normal((steps, hidden)).astype(np.float32)


def serve(name: str, hidden: int, steps: int, turns: Connection) -> None:
    """One contender in a process of its own: at each word it takes a turn and answers with seconds a call."""
    weights, x = inputs(hidden, steps)
    kind, threads = name.split(", ")
    count = int(threads.split()[0])
    run = onnx_lstm(weights, hidden, count) if kind == "onnxruntime" else ours(weights, kind, count)
    turns.send(run(x))
    while turns.recv():
        began, calls = time.perf_counter(), 0
        while (taken := time.perf_counter() - began) < WARM:
            run(x)
        began = time.perf_counter()
        while (taken := time.perf_counter() - began) < TURN:
            run(x)
            calls += 1
        turns.send(taken / calls)


def measure(hidden: int, steps: int, rounds: int) -> dict[str, object]:
    context = multiprocessing.get_context("spawn")
    names = [f"{kind}, {t} threads" for t in THREADS for kind in ("onnxruntime", *engine.PRECISIONS)]
    workers = {}
    for name in names:
        here, there = context.Pipe()
        process = context.Process(target=serve, args=(name, hidden, steps, there), daemon=True)
        process.start()
        workers[name] = (process, here, here.recv())
        os.kill(process.pid, signal.SIGSTOP)
    figures: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(rounds):
        for name, (process, here, _) in workers.items():
            # Who waits is stopped: a thread that spins would be measured with its neighbours.
            os.kill(process.pid, signal.SIGCONT)
            here.send(True)
            figures[name].append(here.recv())
            os.kill(process.pid, signal.SIGSTOP)
    for process, _, _ in workers.values():
        process.kill()
    times = {name: Times(tuple(values)) for name, values in figures.items()}
    expected = workers["onnxruntime, 1 threads"][2]
    print(f"\nhidden {hidden}, {steps} steps, one sequence: milliseconds")
    for name, found in times.items():
        difference = np.abs(workers[name][2] - expected).max()
        print(f"  {name:24}{found.median * 1e3:8.3f} ({found.least * 1e3:.3f})   differs by {difference:.0e}")

    def best(name: str) -> str:
        return min((f"{name}, {t} threads" for t in THREADS), key=lambda key: times[key].median)

    peer = best("onnxruntime")
    row: dict[str, object] = {"hidden": hidden, "steps": steps, "onnxruntime ms": times[peer].median * 1e3}
    for precision in engine.PRECISIONS:
        name = best(precision)
        row[f"{precision} ms"] = times[name].median * 1e3
        row[f"{precision} ratio"] = ratio(times[peer], times[name])
        print(
            f"  ratio {peer} / {name}: {ratio(times[peer], times[name]):.2f} "
            f"({least_ratio(times[peer], times[name]):.2f})"
        )
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--json", type=Path, help="also write the figures here")
    options = parser.parse_args()
    about = machine("onnxruntime", "numpy")
    print(", ".join(f"{k} {v}" for k, v in about.items()) + f", {engine.simd()}")
    rows = [measure(hidden, options.steps, options.rounds) for hidden in (128, 256)]
    if options.json:
        options.json.write_text(json.dumps({"machine": about, "rows": rows}, indent=2) + "\n", "utf-8")


if __name__ == "__main__":
    main()
