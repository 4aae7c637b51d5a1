"""``unrolled demo``: from dialogues to a model that tells their topic, each step shown."""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from unrolled.cli.demo_data import LANGUAGES, MIN_FAMILIES, MIN_UTTERANCES, PRINTABLE, Split, load_split
from unrolled.cli.help import GroupedOption, HelpCommand
from unrolled.errors import DataError

if TYPE_CHECKING:
    from unrolled.cli.train_screen import TrainScreen
    from unrolled.runtime import Predictor

_HELP = """\
Train a model that tells the topic of an utterance, and show each step.

The dialogues, English and Korean, come with the package chatterbot-corpus of the extra "demo"; nothing is
downloaded. Shown are tokens and ids, training, accuracy on held-out dialogues beside three comparisons, and
some predictions. Data and model stay in a folder, to go on with. Takes about a minute.
"""

_EXAMPLES = """\
unrolled demo
unrolled demo --lang ko --out korean-topics/
"""

_OUT = "unrolled-demo"
_PREDICTIONS = 5

#: Chosen on the dev parts: few texts want many small steps, every n-gram, and several models to average.
SETTINGS: dict[str, Any] = {
    "min_freq": 1,
    "ngram_min_freq": 1,
    "max_length": 64,
    "hidden": 64,
    "members": 3,
    "epochs": 15,
    "patience": 15,
    "batch_size": 32,
    "learning_rate": 0.004,
}


def run(lang: str | None, out: str) -> None:
    """Run the verb; the parameters are those of the command line."""
    languages = [lang] if lang else list(LANGUAGES)
    splits = {language: load_split(language) for language in languages}  # complains before anything is shown
    try:
        Path(out).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"this folder cannot be made: {error.strerror}", source=out) from None
    click.echo("Unrolled demo: what is an utterance about?")
    began = time.monotonic()
    for language, split in splits.items():
        _Language(language, split, Path(out) / language).run()
    _go_on(Path(out), languages, time.monotonic() - began)


class _Language:
    """The demo for one language."""

    def __init__(self, language: str, split: Split, folder: Path) -> None:
        from unrolled.cli.console import console

        self.name = LANGUAGES[language].capitalize()
        self.split = split
        self.folder = folder
        self.console = console()

    def run(self) -> None:
        self._title(f"{self.name}: the data")
        self._data()
        self._title(f"{self.name}: training")
        predictor = self._train()
        self._title(f"{self.name}: a text on its way in")
        self._tokens()
        self._title(f"{self.name}: accuracy on {len(self.split.test)} held-out utterances")
        self._scores(predictor)
        self._title(f"{self.name}: some held-out utterances and their predicted topics")
        self._predictions(predictor)

    def _title(self, text: str) -> None:
        from rich.text import Text

        self.console.print()
        self.console.print(Text(text, style="bold"))

    def _say(self, text: str) -> None:
        import textwrap

        from unrolled.cli.console import text_width

        self.console.print(textwrap.fill(text, text_width(), break_on_hyphens=False), soft_wrap=True)

    def _data(self) -> None:
        split = self.split
        self._say(
            f"chatterbot-corpus {version('chatterbot-corpus')} holds {split.utterances:,} {self.name} turns, "
            f"{split.distinct:,} of them different. Left out: {split.ambiguous} that stand under several "
            f"topics, and {len(split.dropped)} topics with fewer than {MIN_UTTERANCES} utterances or "
            f"{MIN_FAMILIES} families. A family is all dialogues that share a turn; each lies in one part as "
            "a whole, so neither a held-out utterance nor a reply to the same question was seen in training."
        )
        self._say(
            f"Parts: train {len(split.train):,}, dev {len(split.dev):,} (chooses settings and epoch), "
            f"test {len(split.test):,} (held out)."
        )
        self._say(
            f"{len(split.topics)} topics: "
            + ", ".join(f"{name} {count}" for name, count in split.topics.items())
        )
        self.folder.mkdir(parents=True, exist_ok=True)
        for name in ("train", "dev", "test"):
            rows = "".join(f"{text}\t{topic}\n" for text, topic in getattr(split, name))
            (self.folder / f"{name}.tsv").write_text("text\ttopic\n" + rows, encoding="utf-8")

    def _train(self) -> Predictor:
        from unrolled.cli.train_screen import TrainScreen

        self._say(f"The same as: {self._command()}")
        self._say(f"{SETTINGS['members']} models, to be averaged. Shown are epochs better than all before.")
        return _fit(self.folder, self.folder / "model", TrainScreen(best_only=True), SETTINGS)

    def _command(self) -> str:
        settings = " ".join(f"--{name.replace('_', '-')} {value}" for name, value in SETTINGS.items())
        path = shlex.quote(str(self.folder))
        return (
            f"unrolled train classify --train {path}/train.tsv --dev {path}/dev.tsv --out {path}/model "
            f"--quoting none {settings}"
        )

    def _tokens(self) -> None:
        from unrolled.cli.console import cut, text_width
        from unrolled.text import tokenizer_from_json

        tokenizer = tokenizer_from_json(
            (self.folder / "model" / "tokenizer.json").read_text(encoding="utf-8")
        )
        text = next(
            text for text, topic in self.split.test if topic in PRINTABLE and 3 <= len(text.split()) <= 8
        )
        tokens = tokenizer.tokens(text)
        ids = tokenizer.encode_batch([text]).values.tolist()
        width = text_width() - 10
        self.console.print(f"text      {cut(text, width)}")
        self.console.print(f"tokens    {cut(' | '.join(tokens), width)}")
        self.console.print(f"ids       {cut(' '.join(map(str, ids)), width)}")
        word = max(tokens, key=len)
        marked = f"<{word}>"
        grams = [marked[i : i + n] for n in (2, 3) for i in range(len(marked) - n + 1)]
        self.console.print(f"n-grams   {cut(' '.join(grams), width)}")
        self._say(
            f"Id {tokenizer.unk_id} is a word that training never saw. A word's vector is the sum of its own "
            f"row and those of its character n-grams (above, some of '{word}') that training saw: so most "
            "unseen words have one too."
        )

    def _scores(self, predictor: Predictor) -> None:
        from unrolled.cli.console import draw, table
        from unrolled.cli.demo_baselines import bag_of_words, majority
        from unrolled.text.basic_english import basic_english

        split = self.split
        parts = (split.train, split.dev, split.test)
        common = majority(*parts)
        words = bag_of_words(*parts, basic_english)
        blind = _fit(self.folder, None, None, {**SETTINGS, "model": "mlp", "wide": False})
        rows = table("", "accuracy")
        rows.add_row(f"always '{common.setting}', the most frequent topic", f"{common.test:.1%}")
        rows.add_row("logistic regression on word counts (blind to order)", f"{words.test:.1%}")
        rows.add_row(
            "mlp, same words, n-grams and settings (blind to order)", f"{_accuracy(blind, split.test):.1%}"
        )
        network, wide = (_share(self.folder / "model", *shares) for shares in ((1.0, 0.0), (0.0, 1.0)))
        rows.add_row(
            f"lstm, reads in order ({predictor.options.members} averaged)",
            f"{_accuracy(network, split.test):.1%}",
        )
        rows.add_row("wide part: linear, runs of 1 to 5 characters", f"{_accuracy(wide, split.test):.1%}")
        score = _accuracy(predictor, split.test)
        rows.add_row("both: the model just trained, lstm and wide part", f"{score:.1%}", style="bold")
        draw(self.console, rows)
        error = (score * (1 - score) / len(split.test)) ** 0.5
        self._say(
            f"One standard error of such a figure is about {error * 100:.1f} points: smaller differences "
            "mean nothing. Topics of single sentences hang more on words than on their order."
        )

    def _predictions(self, predictor: Predictor) -> None:
        from unrolled.cli.console import cut, draw, table, text_width

        chosen = _spread(self.split.test, _PREDICTIONS)
        rows = table("utterance", "topic", "predicted", "probability", left=3)
        for (text, topic), answer in zip(
            chosen, predictor.predict([text for text, _ in chosen]), strict=True
        ):
            rows.add_row(cut(text, text_width() - 40), topic, str(answer.label), f"{answer.probability:.2f}")
        draw(self.console, rows)


def _fit(folder: Path, out: Path | None, screen: TrainScreen | None, settings: dict[str, Any]) -> Predictor:
    from unrolled.data import open_records
    from unrolled.options import ClassifierOptions
    from unrolled.train import fit

    readers = [
        open_records(folder / f"{name}.tsv", needs_label=True, quoting="none") for name in ("train", "dev")
    ]
    options = ClassifierOptions.of("fast", **settings)
    return fit(options, *readers, out=out, overwrite=True, progress=screen, names=("train.tsv", "dev.tsv"))


def _share(model: Path, network: float, wide: float) -> Predictor:
    """The saved model with other shares of its two parts."""
    from dataclasses import replace

    from unrolled.runtime import Predictor, load_model
    from unrolled.runtime.classifier_manifest import ClassifierManifest

    saved = load_model(model)
    assert isinstance(saved.manifest, ClassifierManifest)
    return Predictor(replace(saved, manifest=replace(saved.manifest, shares=(network, wide))))


def _accuracy(predictor: Predictor, pairs: Sequence[tuple[str, str]]) -> float:
    return float(predictor.evaluate(pairs)["accuracy"])


def _spread(pairs: Sequence[tuple[str, str]], count: int) -> list[tuple[str, str]]:
    """The first utterances of each printable topic in turn; whether the model is right plays no part."""
    by_topic = {
        topic: [pair for pair in pairs if pair[1] == topic and 3 <= len(pair[0].split()) <= 12]
        for topic in PRINTABLE
    }
    waiting = [found for found in by_topic.values() if found]
    taken = [found[turn] for turn in range(count) for found in waiting if turn < len(found)]
    return taken[:count]


def _go_on(out: Path, languages: Sequence[str], seconds: float) -> None:
    from unrolled.cli.sizes import duration

    first = shlex.quote(str(out / languages[0]))
    click.echo(f"\nDone in {duration(seconds)}. Data and models lie in {out}/. Go on with:")
    click.echo(f"  unrolled evaluate {first}/model {first}/test.tsv --quoting none")
    if "ko" in languages:
        click.echo(
            f'  echo "컴퓨터가 생각할 수 있니?" | unrolled predict {shlex.quote(str(out / "ko"))}/model'
        )
    else:
        click.echo(f'  echo "can a computer think?" | unrolled predict {first}/model')
    click.echo(f"  unrolled info {first}/model")


command = HelpCommand(
    name="demo",
    callback=run,
    help=_HELP,
    examples=_EXAMPLES,
    params=[
        GroupedOption(
            ["--lang"], type=click.Choice(list(LANGUAGES)), metavar="en|ko", help="One language.  [both]"
        ),
        GroupedOption(["--out"], default=_OUT, metavar="FOLDER", help=f"Where data and models go.  [{_OUT}]"),
    ],
)
