"""The same bits whatever the number of threads, and safe use from several Python threads and after a fork."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from unrolled import engine


def _everything(problem: Any) -> list[np.ndarray]:
    result = problem.forward(save=True)
    gradients = problem.backward(np.ones_like(result.out), None, None, result)
    return [result.out, result.h_n, gradients.d_x, gradients.d_h0, *(a for w in gradients.weights for a in w)]


@pytest.mark.parametrize("directions", [1, 2])
def test_bits_do_not_depend_on_threads(
    simd: str, kind: str, directions: int, make_problem: Callable[..., Any]
) -> None:
    problem = make_problem(kind, list(range(25)) + [11] * 15, 50, 60, directions=directions)
    engine.set_num_threads(1)
    expected = _everything(problem)
    for threads in (1, 2, 3, 5):
        engine.set_num_threads(threads)
        for found, wanted in zip(_everything(problem), expected, strict=True):
            np.testing.assert_array_equal(found, wanted)


def test_a_sequence_does_not_feel_its_neighbours(
    simd: str, kind: str, make_problem: Callable[..., Any]
) -> None:
    problem = make_problem(kind, [6, 3, 9, 1, 1, 4, 8], 5, 33)
    together = problem.forward()
    start = 0
    for b, length in enumerate(problem.lengths):
        c0 = None if problem.c0 is None else np.ascontiguousarray(problem.c0[:, b : b + 1])
        alone = engine.layer_forward(
            kind,
            problem.x[start : start + length],
            problem.lengths[b : b + 1],
            problem.weights,
            np.ascontiguousarray(problem.h0[:, b : b + 1]),
            c0,
        )
        np.testing.assert_array_equal(alone.out, together.out[start : start + length])
        start += length


def test_several_python_threads_at_once(make_problem: Callable[..., Any]) -> None:
    engine.set_num_threads(2)
    problems = [make_problem("lstm", list(range(20)), 30, 40 + i, seed=i) for i in range(4)]
    expected = [_everything(p) for p in problems]
    wrong: list[int] = []

    def work(i: int) -> None:
        for _ in range(8):
            if not all(
                np.array_equal(a, b) for a, b in zip(_everything(problems[i]), expected[i], strict=True)
            ):
                wrong.append(i)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert not any(worker.is_alive() for worker in workers)
    assert not wrong


def test_results_stay_when_later_calls_reuse_memory(make_problem: Callable[..., Any]) -> None:
    problem = make_problem("gru", [30] * 40, 30, 64)
    first = problem.forward().out
    copy = first.copy()
    other = make_problem("gru", [30] * 40, 30, 64, seed=9)
    for _ in range(5):
        other.forward()
    np.testing.assert_array_equal(first, copy)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_forked_child_works(make_problem: Callable[..., Any]) -> None:
    engine.set_num_threads(2)
    problem = make_problem("lstm", list(range(25)), 40, 50)
    expected = problem.forward().out
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(problem.forward().out, expected) else 1)
    for _ in range(3000):
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            break
        threading.Event().wait(0.01)
    else:
        os.kill(child, 9)
        os.waitpid(child, 0)
        pytest.fail("the child hangs")
    assert os.waitstatus_to_exitcode(status) == 0
