"""A training that is killed or stopped goes on to the very same weights."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from toy_training import order_pairs, records, small

from unrolled.errors import TrainingError
from unrolled.interrupt import TrainingInterrupted
from unrolled.runtime import SavedModel, load_model
from unrolled.train import fit

#: Two members, averaged weights, dropouts on: everything that a checkpoint must hold.
OPTIONS = {"members": 2, "epochs": 3, "average": 0.95, "recurrent_dropout": 0.1, "patience": 3}

PROGRAM = """
import json, sys, time
from toy_training import order_pairs, records, small
from unrolled.train import Silent, fit

class Slow(Silent):
    def step(self, loss, tokens):
        print("step", flush=True)
        time.sleep(0.01)

out, options, resume = sys.argv[1], json.loads(sys.argv[2]), bool(int(sys.argv[3]))
train, dev = records(order_pairs(160, 1)), records(order_pairs(40, 2))
fit(small(**options), train, dev, out=out, resume=resume, progress=Slow(), checkpoint_minutes=0.0002)
print("finished", flush=True)
"""


def start(out: Path, resume: bool) -> subprocess.Popen[str]:
    paths = [str(Path(__file__).parent), *sys.path]
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(out), json.dumps(OPTIONS), str(int(resume))],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run_for(process: subprocess.Popen[str], steps: int) -> bool:
    """Read the process's steps; true if it finished before it made so many."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("finished"):
            return True
        steps -= 1
        if steps == 0:
            return False
    raise AssertionError(f"the training failed: {process.communicate()[1]}")


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> SavedModel:
    out = tmp_path_factory.mktemp("whole") / "model"
    fit(small(**OPTIONS), records(order_pairs(160, 1)), records(order_pairs(40, 2)), out=out)
    return load_model(out)


def test_killed_stopped_and_resumed(tmp_path: Path, uninterrupted: SavedModel) -> None:
    generator = random.Random(time.time_ns())
    out = tmp_path / "model"
    steps_before_kill = [generator.randint(2, 20) for _ in range(2)]
    print("killed after steps", steps_before_kill)  # shown if the test fails
    for attempt, steps in enumerate(steps_before_kill):
        with start(out, resume=attempt > 0) as process:
            finished = run_for(process, steps)
            time.sleep(generator.uniform(0, 0.02))  # also in the middle of writing
            process.kill()
        assert not finished
    with start(out, resume=True) as process:
        assert not run_for(process, 5)
        process.send_signal(signal.SIGINT)  # what Ctrl-C sends
        _, errors = process.communicate(timeout=60)
    assert process.returncode != 0
    last = errors.strip().splitlines()[-1]
    assert "TrainingInterrupted: Training was stopped in epoch" in last and "with resume" in last
    with pytest.raises(TrainingError, match="holds an unfinished training"):
        fit(small(**OPTIONS), records(order_pairs(160, 1)), out=out)
    fit(small(**OPTIONS), records(order_pairs(160, 1)), records(order_pairs(40, 2)), out=out, resume=True)
    found = load_model(out)
    assert found.weights.keys() == uninterrupted.weights.keys() > {"wide.weight", "wide.bias", "wide.kept"}
    for name, array in uninterrupted.weights.items():
        np.testing.assert_array_equal(found.weights[name], array, err_msg=name)
    for figures in ("wide", "metrics"):
        assert found.manifest.raw[figures] == uninterrupted.manifest.raw[figures]
    assert not (out / "checkpoint").exists()
    log = json.loads((out / "training" / "log.json").read_text())["epochs"]
    assert [(row["member"], row["epoch"]) for row in log] == [(m, e) for m in (1, 2) for e in (1, 2, 3)]


def interrupted(out: Path, **changes: object) -> None:
    """Leave an unfinished training in a folder."""
    from unrolled.train import Silent

    class Impatient(Silent):
        steps = 0

        def step(self, loss: float, tokens: int) -> None:
            self.steps += 1
            if self.steps == 5:
                os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(TrainingInterrupted):
        fit(small(**changes), records(order_pairs(60, 1)), out=out, progress=Impatient())


def test_other_options_or_data_are_named(tmp_path: Path) -> None:
    out = tmp_path / "m"
    interrupted(out)
    state = {path.name: path.read_bytes() for path in (out / "checkpoint").iterdir() if path.is_file()}
    with pytest.raises(TrainingError, match=r"options\.hidden: 12 -> 13.*overwrite"):
        fit(small(hidden=13), records(order_pairs(60, 1)), out=out, resume=True)
    with pytest.raises(TrainingError, match=r"data\.train\.rows: 60 -> 61"):
        fit(small(), records(order_pairs(61, 1)), out=out, resume=True)
    with pytest.raises(TrainingError, match=r"data\.train\.sha256"):
        fit(small(), records(order_pairs(60, 3)), out=out, resume=True)
    assert state == {
        path.name: path.read_bytes() for path in (out / "checkpoint").iterdir() if path.is_file()
    }
    fit(small(), records(order_pairs(60, 1)), out=out, resume=True)
    assert (out / "model.json").exists()


def test_the_same_data_under_another_name_goes_on(tmp_path: Path) -> None:
    out = tmp_path / "m"
    interrupted(out)
    names = ("./train.tsv", "./dev.tsv")
    fit(small(), records(order_pairs(60, 1)), out=out, resume=True, names=names)
    assert load_model(out).manifest.raw["training"]["data"]["train"]["name"] == "./train.tsv"


def test_an_unfinished_training_can_be_thrown_away(tmp_path: Path) -> None:
    out = tmp_path / "m"
    interrupted(out)
    fit(small(epochs=1), records(order_pairs(60, 1)), out=out, overwrite=True)
    assert load_model(out).manifest.options.epochs == 1


def test_resume_with_nothing_there_begins(tmp_path: Path) -> None:
    fit(small(epochs=1), records(order_pairs(60, 1)), out=tmp_path / "m", resume=True)
    assert (tmp_path / "m" / "model.json").exists()


@pytest.mark.parametrize("damage", ["index", "state", "version", "escape"])
def test_a_damaged_checkpoint_is_an_error_not_a_crash(tmp_path: Path, damage: str) -> None:
    out = tmp_path / "m"
    interrupted(out)
    index = out / "checkpoint" / "checkpoint.json"
    content = json.loads(index.read_text())
    if damage == "index":
        index.write_text(index.read_text()[:-20])
    elif damage == "state":
        state = out / "checkpoint" / content["state"]
        state.write_bytes(state.read_bytes()[:-100])
    elif damage == "version":
        index.write_text(json.dumps({**content, "format_version": 99}))
    else:
        index.write_text(json.dumps({**content, "state": "../model.safetensors"}))
    with pytest.raises(TrainingError, match=r"damaged|another version"):
        fit(small(), records(order_pairs(60, 1)), out=out, resume=True)


def test_handlers_of_signals_are_put_back(tmp_path: Path) -> None:
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    interrupted(tmp_path / "m")
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before


def test_other_word_vectors_of_the_same_name_are_noticed(tmp_path: Path) -> None:
    out, file = tmp_path / "m", tmp_path / "vectors.txt"

    def write(scale: float) -> None:
        file.write_text(
            "".join(f"{word} {' '.join([str(scale)] * 12)}\n" for word in ("sun", "rain", "moon"))
        )

    write(0.5)
    interrupted(out, vectors=str(file))
    write(0.25)
    with pytest.raises(TrainingError, match=r"vectors\.sha256"):
        fit(small(vectors=str(file)), records(order_pairs(60, 1)), out=out, resume=True)
    write(0.5)
    fit(small(vectors=str(file)), records(order_pairs(60, 1)), out=out, resume=True)
    assert (out / "model.json").exists()
