"""The peer: a text classifier as it is usually written in torch. `nn.LSTM` on a `PackedSequence`, an
8,000-piece BPE, Adam, three epochs, the best epoch on dev.

    python benchmarks/peer_torch.py train TRAIN.tsv DEV.tsv FOLDER [--seed 0] [--epochs 3]
    python benchmarks/peer_torch.py predict FOLDER < texts > labels
    python benchmarks/peer_torch.py evaluate FOLDER TEST.tsv

Files are tab separated without quoting, with a header that names `text` and `label` (0 or 1).
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, trainers
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence


class Model(nn.Module):
    """Embedding, bidirectional LSTM, last states, linear."""

    def __init__(self, pieces: int, dim: int = 128, hidden: int = 128) -> None:
        super().__init__()
        self.embedding = nn.Embedding(pieces, dim, padding_idx=0)
        self.lstm = nn.LSTM(dim, hidden, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.3)
        self.output = nn.Linear(2 * hidden, 2)

    def forward(self, ids: Tensor, lengths: Tensor) -> Tensor:
        """``(batch, seq)`` padded ids and ``(batch,)`` lengths to ``(batch, 2)`` scores."""
        packed = pack_padded_sequence(self.embedding(ids), lengths, batch_first=True, enforce_sorted=False)
        _, (h, _) = self.lstm(packed)
        scores: Tensor = self.output(self.dropout(torch.cat([h[0], h[1]], dim=1)))
        return scores


def read(path: str) -> tuple[list[str], list[int]]:
    """Texts and labels of a file."""
    header, *lines = Path(path).read_text(encoding="utf-8").split("\n")
    names = header.split("\t")
    rows = [line.split("\t") for line in lines if line]
    return [row[names.index("text")] for row in rows], [int(row[names.index("label")]) for row in rows]


def encoded(tokenizer: Tokenizer, texts: list[str]) -> list[Tensor]:
    """Ids of each text; an empty one becomes a single unknown piece, because packing refuses length 0."""
    return [torch.tensor(encoding.ids or [1]) for encoding in tokenizer.encode_batch(texts)]


def batches(ids: list[Tensor], order: list[int], size: int) -> list[list[int]]:
    return [order[start : start + size] for start in range(0, len(order), size)]


@torch.no_grad()
def guesses(model: Model, ids: list[Tensor]) -> list[int]:
    """The label of each text."""
    model.eval()
    order = sorted(range(len(ids)), key=lambda i: len(ids[i]))
    found = [0] * len(ids)
    for part in batches(ids, order, 256):
        lengths = torch.tensor([len(ids[i]) for i in part])
        labels = model(pad_sequence([ids[i] for i in part], batch_first=True), lengths).argmax(1)
        for i, label in zip(part, labels.tolist(), strict=True):
            found[i] = label
    return found


def train(arguments: argparse.Namespace) -> None:
    """Train, keep the best epoch, print what it took."""
    torch.manual_seed(arguments.seed)
    texts, labels = read(arguments.train)
    dev_texts, dev_labels = read(arguments.dev)
    began = time.perf_counter()
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=8000, special_tokens=["<pad>", "<unk>"], show_progress=False)
    )
    ids, dev_ids = encoded(tokenizer, texts), encoded(tokenizer, dev_texts)
    targets = torch.tensor(labels)
    model = Model(tokenizer.get_vocab_size())
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    best, folder = 0.0, Path(arguments.folder)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    for _ in range(arguments.epochs):
        model.train()
        for part in batches(ids, torch.randperm(len(ids)).tolist(), 64):
            lengths = torch.tensor([len(ids[i]) for i in part])
            scores = model(pad_sequence([ids[i] for i in part], batch_first=True), lengths)
            loss = nn.functional.cross_entropy(scores, targets[part])
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        right = sum(a == b for a, b in zip(guesses(model, dev_ids), dev_labels, strict=True))
        if right / len(dev_ids) > best:
            best = right / len(dev_ids)
            torch.save(model.state_dict(), folder / "weights.pt")
    print(json.dumps({"dev_accuracy": best, "seconds": time.perf_counter() - began}))


def load(folder: str) -> tuple[Model, Tokenizer]:
    tokenizer = Tokenizer.from_file(str(Path(folder) / "tokenizer.json"))
    model = Model(tokenizer.get_vocab_size())
    model.load_state_dict(torch.load(Path(folder) / "weights.pt", weights_only=True))
    return model, tokenizer


def predict(arguments: argparse.Namespace) -> None:
    """A label a line for a text a line."""
    model, tokenizer = load(arguments.folder)
    texts = sys.stdin.read().splitlines()
    print("\n".join(map(str, guesses(model, encoded(tokenizer, texts)))))


def evaluate(arguments: argparse.Namespace) -> None:
    model, tokenizer = load(arguments.folder)
    texts, labels = read(arguments.test)
    right = sum(a == b for a, b in zip(guesses(model, encoded(tokenizer, texts)), labels, strict=True))
    print(json.dumps({"accuracy": right / len(labels), "n": len(labels)}))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    verbs = parser.add_subparsers(required=True)
    one = verbs.add_parser("train")
    one.add_argument("train")
    one.add_argument("dev")
    one.add_argument("folder")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--epochs", type=int, default=3)
    one.set_defaults(run=train)
    two = verbs.add_parser("predict")
    two.add_argument("folder")
    two.set_defaults(run=predict)
    three = verbs.add_parser("evaluate")
    three.add_argument("folder")
    three.add_argument("test")
    three.set_defaults(run=evaluate)
    arguments = parser.parse_args()
    arguments.run(arguments)


if __name__ == "__main__":
    main()
