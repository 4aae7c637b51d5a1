"""The peer: spaCy's own recipe for the CPU, without vectors, trained from scratch (package `spacy`).

    python benchmarks/peer_tag_spacy.py train TRAIN DEV FOLDER [--seed 0]
    python benchmarks/peer_tag_spacy.py evaluate FOLDER TEST
    python benchmarks/peer_tag_spacy.py speed FOLDER TEST

Files are CoNLL-U, of which it learns UPOS with the pipeline `tagger`, or word<TAB>BIO tag, for which it takes
`ner`. Everything else stands in the configuration that `spacy init config --lang en --optimize efficiency`
writes; training ends when dev has not risen for 1,600 steps, after 20,000 at the latest.
"""

from __future__ import annotations

import logging
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import spacy
from spacy.cli.init_config import init_config
from spacy.tokens import Doc, DocBin
from spacy.training.initialize import init_nlp
from spacy.training.loop import train as run
from spacy.vocab import Vocab
from tagged import Tagger, Tags, Words, are_spans, peer, read


def documents(path: Path, spans: bool) -> DocBin:
    """A sentence a document. That no blanks are told keeps spaCy from splitting the text anew."""
    vocab = Vocab()
    column = "ents" if spans else "tags"
    pairs = zip(*read(path), strict=True)
    return DocBin(docs=[Doc(vocab, words=words, **{column: tags}) for words, tags in pairs])


def train(training: Path, dev: Path, folder: Path, seed: int, trial: bool) -> None:
    """Leave the pipeline that was best on dev."""
    logging.getLogger("spacy").setLevel(logging.ERROR)
    spans = are_spans(read(training)[1])
    config = init_config(lang="en", pipeline=["ner" if spans else "tagger"], optimize="efficiency", gpu=False)
    config["system"]["seed"] = seed
    if trial:
        config["training"] |= {"max_steps": 20, "eval_frequency": 10}
    with tempfile.TemporaryDirectory() as temporary:
        for name, path in (("train", training), ("dev", dev)):
            file = Path(temporary, name).with_suffix(".spacy")
            documents(path, spans).to_disk(file)
            config["paths"][name] = str(file)
        run(init_nlp(config), Path(temporary), stdout=sys.stderr)
        shutil.copytree(Path(temporary, "model-best"), folder, dirs_exist_ok=True)


def load(folder: Path) -> Tagger:
    """The pipeline, from words to tags."""
    pipeline = spacy.load(folder)
    spans = "ner" in pipeline.pipe_names

    def tagger(sentences: Sequence[Words]) -> list[Tags]:
        docs = [Doc(pipeline.vocab, words=words) for words in sentences]
        # A pipe is made for many; one alone is faster without.
        done = pipeline.pipe(docs) if len(docs) > 1 else map(pipeline, docs)
        if spans:
            return [
                [f"{word.ent_iob_}-{word.ent_type_}" if word.ent_type_ else "O" for word in doc]
                for doc in done
            ]
        return [[word.tag_ for word in doc] for doc in done]

    return tagger


if __name__ == "__main__":
    peer(__doc__, train, load)
