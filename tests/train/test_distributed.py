"""Two processes that share each batch reach the loss of one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from toy_training import order_pairs, records, small

from unrolled.runtime import load, load_model
from unrolled.train import fit
from unrolled.train.distributed import launched

OPTIONS = {
    "embed_dropout": 0.0,
    "word_dropout": 0.0,
    "ngram_dropout": 0.0,
    "dropout": 0.0,
    "epochs": 2,
    "average": 0.9,
    "batch_size": 15,
}

PROGRAM = """
import json, os, sys
from toy_training import order_pairs, records, small
from unrolled.errors import TrainingError
from unrolled.train import fit

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())  # one write: lines of two processes stay whole

train, dev = records(order_pairs(100, 1)), records(order_pairs(31, 2))
if os.environ["RANK"] != "0":
    train, dev = [], []  # only the first process reads
try:
    fit(small(), train[:1])
except TrainingError as error:
    say("refused", os.environ["RANK"], error)
model = fit(small(**json.loads(sys.argv[2])), train, dev, out=sys.argv[1])
say("labels", model.labels)
"""


def run(folder: Path, *arguments: str) -> str:
    program = folder / "program.py"
    program.write_text(PROGRAM)
    paths = [str(Path(__file__).parent), *sys.path]
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "torch.distributed.run",
            "--standalone",
            "--nproc_per_node=2",
            str(program),
            *arguments,
        ],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(paths), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_launchers_are_recognised() -> None:
    assert launched({}) == (0, 1)
    assert launched({"RANK": "1", "WORLD_SIZE": "2"}) == (1, 2)
    assert launched({"RANK": "0", "WORLD_SIZE": "1", "PMI_RANK": "0", "PMI_SIZE": "1"}) == (0, 1)
    assert launched({"OMPI_COMM_WORLD_RANK": "3", "OMPI_COMM_WORLD_SIZE": "4"}) == (3, 4)


def test_two_processes_give_the_loss_of_one(tmp_path: Path) -> None:
    together, alone = tmp_path / "two", tmp_path / "one"
    output = run(tmp_path, str(together), json.dumps(OPTIONS))
    # An error of the first process, which alone reads, reaches all.
    assert "refused 0" in output and "refused 1" in output and "nothing to tell apart" in output
    assert output.count("labels ['sunny', 'wet']") == 2
    fit(small(**OPTIONS), records(order_pairs(100, 1)), records(order_pairs(31, 2)), out=alone)
    logs = [json.loads((out / "training" / "log.json").read_text())["epochs"] for out in (together, alone)]
    for two, one in zip(*logs, strict=True):
        assert two["step"] == one["step"] == 7 * one["epoch"]
        for figure in ("train_loss", "dev_loss", "dev_score", "gradient_norm"):
            assert two[figure] == pytest.approx(one[figure], rel=1e-4), figure
    found, expected = load_model(together).weights, load_model(alone).weights
    for name, array in expected.items():
        np.testing.assert_allclose(
            found[name].astype(np.float64), array.astype(np.float64), atol=2e-3, err_msg=name
        )
    assert load(together).info()["training"]["data"] == load(alone).info()["training"]["data"]
