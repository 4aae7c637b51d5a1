"""The peer: a tagger as it is usually written in torch (Lample et al. 2016, "Neural Architectures for Named
Entity Recognition"): a BiLSTM over the characters of each word, a word embedding, a BiLSTM over the sentence;
a softmax for UPOS, a CRF for BIO tags (package `pytorch-crf`). The sizes are those of the paper.

    python benchmarks/peer_tag_torch.py train TRAIN DEV FOLDER [--seed 0]
    python benchmarks/peer_tag_torch.py evaluate FOLDER TEST
    python benchmarks/peer_tag_torch.py speed FOLDER TEST

Files are CoNLL-U, of which it learns UPOS, or word<TAB>BIO tag. Adam, batches of 32 sentences; training ends
when dev was below its best for five epochs, after 30 at the latest, and the best epoch stays.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import torch
from tagged import Tagger, Tags, Words, are_spans, figures, peer, read
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence
from torchcrf import CRF

EPOCHS, PATIENCE, BATCH = 30, 5, 32
FORGOTTEN = 0.5  # of the words seen once, in training, so that the row for unknown words is trained
LONGEST = 32  # characters of a word; one long address would make all others of its batch wait
PAD, UNKNOWN = 0, 1


def packed(lstm: nn.LSTM, vectors: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
    """Outputs ``(batch, seq, 2 * hidden)`` and last states ``(batch, 2 * hidden)`` of padded vectors."""
    rows = pack_padded_sequence(vectors, lengths, batch_first=True, enforce_sorted=False)
    output, (h, _) = lstm(rows)
    return pad_packed_sequence(output, batch_first=True)[0], torch.cat([h[0], h[1]], dim=1)


class Model(nn.Module):
    """Words and their characters to a score for each tag.

    Args:
        words, characters, tags: each with its number; a word in lower case, 0 for padding, 1 for unknown.
        crf: decide the tags of a sentence together.
    """

    def __init__(
        self, words: dict[str, int], characters: dict[str, int], tags: list[str], *, crf: bool
    ) -> None:
        super().__init__()
        self.words, self.characters, self.tags = words, characters, tags
        self.word_rows = nn.Embedding(len(words) + 2, 100, padding_idx=PAD)
        self.character_rows = nn.Embedding(len(characters) + 2, 25, padding_idx=PAD)
        self.speller = nn.LSTM(25, 25, batch_first=True, bidirectional=True)
        self.reader = nn.LSTM(150, 100, batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(0.5)
        self.output = nn.Linear(200, len(tags))
        self.crf = CRF(len(tags), batch_first=True) if crf else None

    def forward(
        self, sentences: Sequence[Words], rare: frozenset[str] = frozenset()
    ) -> tuple[Tensor, Tensor]:
        """Scores ``(batch, seq, tags)``, and a mask ``(batch, seq)`` of the words.

        Args:
            sentences: of at least a word each.
            rare: words of which some are forgotten.
        """
        forms = list(dict.fromkeys(word for words in sentences for word in words))
        place = {form: number for number, form in enumerate(forms)}
        spelled = [
            torch.tensor([self.characters.get(letter, UNKNOWN) for letter in form[:LONGEST]])
            for form in forms
        ]
        lengths = torch.tensor([len(letters) for letters in spelled])
        rows = self.character_rows(pad_sequence(spelled, batch_first=True))
        spellings = packed(self.speller, rows, lengths)[1]  # each different word of the batch once
        ids = [torch.tensor([self.number(word, rare) for word in words]) for words in sentences]
        places = [torch.tensor([place[word] for word in words]) for words in sentences]
        meanings = self.word_rows(pad_sequence(ids, batch_first=True))
        vectors = torch.cat([meanings, spellings[pad_sequence(places, batch_first=True)]], dim=2)
        lengths = torch.tensor([len(words) for words in sentences])
        states, _ = packed(self.reader, self.dropout(vectors), lengths)
        mask = torch.arange(states.shape[1]) < lengths[:, None]
        return self.output(self.dropout(states)), mask

    def number(self, word: str, rare: frozenset[str]) -> int:
        """Row of a word."""
        word = word.lower()
        return UNKNOWN if word in rare and random.random() < FORGOTTEN else self.words.get(word, UNKNOWN)

    def loss(self, sentences: Sequence[Words], tags: Sequence[Tags], rare: frozenset[str]) -> Tensor:
        """Mean over the words, with a CRF over the sentences."""
        scores, mask = self(sentences, rare)
        numbers = {tag: number for number, tag in enumerate(self.tags)}
        targets = pad_sequence(
            [torch.tensor([numbers[tag] for tag in one]) for one in tags], batch_first=True
        )
        if self.crf is None:
            return nn.functional.cross_entropy(scores[mask], targets[mask])
        loss: Tensor = -self.crf(scores, targets, mask, reduction="mean")
        return loss

    @torch.inference_mode()
    def tag(self, sentences: Sequence[Words]) -> list[Tags]:
        """The tags of each sentence; sentences of like length are tagged together."""
        self.eval()
        order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
        found: list[Tags] = [[]] * len(sentences)
        for part in batches(order, 128):
            scores, mask = self([sentences[i] for i in part])
            best = scores.argmax(2).tolist() if self.crf is None else self.crf.decode(scores, mask)
            for i, numbers in zip(part, best, strict=True):
                found[i] = [self.tags[number] for number in numbers[: len(sentences[i])]]
        return found


def batches(order: list[int], size: int) -> list[list[int]]:
    return [order[start : start + size] for start in range(0, len(order), size)]


def numbered(entries: Counter[str]) -> dict[str, int]:
    return {entry: number for number, entry in enumerate(entries, UNKNOWN + 1)}


def train(training: Path, dev: Path, folder: Path, seed: int, trial: bool) -> None:
    """Leave the epoch that was best on dev."""
    torch.manual_seed(seed)
    random.seed(seed)
    sentences, tags = read(training)
    dev_sentences, dev_tags = read(dev)
    counts = Counter(word.lower() for words in sentences for word in words)
    letters = Counter(letter for words in sentences for word in words for letter in word)
    kinds = sorted({tag for one in tags for tag in one})
    rare = frozenset(word for word, count in counts.items() if count == 1)
    model = Model(numbered(counts), numbered(letters), kinds, crf=are_spans(tags))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    folder.mkdir(parents=True, exist_ok=True)
    about = {
        "words": model.words,
        "characters": model.characters,
        "tags": kinds,
        "crf": model.crf is not None,
    }
    (folder / "vocabulary.json").write_text(json.dumps(about), encoding="utf-8")
    best, best_epoch = -1.0, 0
    for epoch in range(1 if trial else EPOCHS):
        model.train()
        for part in batches(torch.randperm(len(sentences)).tolist(), BATCH):
            loss = model.loss([sentences[i] for i in part], [tags[i] for i in part], rare)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
        score = figures(dev_tags, model.tag(dev_sentences))["score"]
        if score >= best:  # equal: spans begin with some epochs of none at all
            best, best_epoch = score, epoch
            torch.save(model.state_dict(), folder / "weights.pt")
        elif epoch - best_epoch >= PATIENCE:
            break


def load(folder: Path) -> Tagger:
    about = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
    model = Model(about["words"], about["characters"], about["tags"], crf=about["crf"])
    model.load_state_dict(torch.load(folder / "weights.pt", weights_only=True))
    return model.tag


if __name__ == "__main__":
    peer(__doc__, train, load)
