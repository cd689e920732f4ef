"""What stands in for a scale's encoder and data in a rehearsal: their shapes, and nothing of them.

The weights are random, and the text is made of pieces of a vocabulary of the encoder's size, drawn
with the frequencies of a language (Zipf) and in the lengths of :mod:`benchmark.lengths`. It comes
in the formats of :mod:`stilts_artifact.benchmark.own_data`. All of it is the same on each run.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import cycle, islice, pairwise
from pathlib import Path
from typing import Any

import numpy as np

from stilts_artifact.benchmark.lengths import CHOICES, LENGTHS, PIECES, drawn
from stilts_artifact.benchmark.own_data import TEXT, Place, known_names
from stilts_artifact.config.schema import Scale
from stilts_artifact.documents import dump_json
from stilts_artifact.domain.tasks import Benchmark, Part, Split, Task, TaskForm
from stilts_artifact.errors import ConfigError
from stilts_artifact.files import publish_folder, write_file
from stilts_artifact.model.hub import PhaseOne
from stilts_artifact.model.manifest import CONFIG, TOKENIZER, WEIGHTS, deciding_files, read_manifest
from stilts_artifact.pipeline.costs import config_of

NAME = "random weights as"
"""How the name of every encoder begins that was made here."""
EVALUATED = 2
"""Examples of each language that are predicted."""
PAIRS = 8
"""Sentences to be searched for in each language."""
CORPUS = 32
"""Sentences of each side of the corpora that are mined."""
SUPERTAGS = 1363
"""Labels of CCG (jiant, tasks/lib/ccg.py at daa5a25)."""
_SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
_MASK = "<mask>"
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
_WIDTH = 4  # letters of a piece: 456,976 of them
_SPREAD = 176_467  # prime to their number, so that neighbours look unlike


@dataclass(frozen=True, slots=True)
class Pieces:
    """A vocabulary of so many ids: half of its pieces begin words, the others go on with them.

    All have one length, so that the fewest pieces that give a word are those it was made of.
    """

    size: int

    @property
    def half(self) -> int:
        """Pieces of either kind."""
        return (self.size - len(_SPECIAL) - len(_LETTERS) - 2) // 2

    def piece(self, index: int) -> str:
        """Letters of a piece, whichever kind it is of."""
        code = index * _SPREAD % len(_LETTERS) ** _WIDTH
        return "".join(_LETTERS[code // 26**place % 26] for place in range(_WIDTH))

    def tokenizer(self) -> bytes:
        """The ``tokenizer.json`` of XLM-R's kind, in fairseq's order: four special ids, ``<mask>``
        last."""
        first = [f"▁{self.piece(index)}" for index in range(self.half)]
        further = [self.piece(index) for index in range(self.half)]
        # More than a half are one piece short where the number is odd.
        filled = [f"▁{letter}" for letter in _LETTERS][: self.size - self._used]
        vocabulary = [(text, 0.0) for text in _SPECIAL]
        vocabulary += [(text, -30.0) for text in ("▁", *_LETTERS, *filled)]
        vocabulary += [(text, -10.0) for text in (*first, *further)]
        vocabulary.append((_MASK, 0.0))
        special = [*enumerate(_SPECIAL), (self.size - 1, _MASK)]
        flags = dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        space = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "always", "split": True}
        one, other = ({"Sequence": {"id": side, "type_id": 0}} for side in "AB")
        begin, end = ({"SpecialToken": {"id": text, "type_id": 0}} for text in ("<s>", "</s>"))
        ids = {text: {"id": text, "ids": [n], "tokens": [text]} for n, text in special[:3]}
        content = {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [
                {"id": n, "content": text, **flags, "special": True} for n, text in special
            ],
            "normalizer": None,
            "pre_tokenizer": space,
            "post_processor": {
                "type": "TemplateProcessing",
                "single": [begin, one, end],
                "pair": [begin, one, end, end, other, end],
                "special_tokens": {text: ids[text] for text in ("<s>", "</s>")},
            },
            "decoder": space,
            "model": {"type": "Unigram", "unk_id": 3, "vocab": vocabulary, "byte_fallback": False},
        }
        return json.dumps(content, ensure_ascii=False).encode()

    @property
    def _used(self) -> int:
        return len(_SPECIAL) + 1 + len(_LETTERS) + 2 * self.half + 1


def make_encoder(encoder: PhaseOne, folder: Path) -> PhaseOne:
    """An encoder of the same architecture with random weights, made unless it is there.

    Raises:
        ConfigError: one whose architecture is not known before it is downloaded.
        ResourceError: the disk is full.
    """
    from stilts_artifact.model.loading import initial_state
    from stilts_artifact.pipeline.tasks.train import write_weights

    if not folder.is_dir():
        config = config_of(encoder)
        if config is None:
            raise ConfigError(
                "the architecture of this encoder is not known",
                where=encoder.label,
                fix="download it, and name its folder with --encoder",
            )
        with publish_folder(folder) as made:
            write_file(made / CONFIG, dump_json(dict(config)))
            write_file(made / TOKENIZER, Pieces(config["vocab_size"]).tokenizer())
            write_weights(made, initial_state(made, seed=1))
    files = deciding_files(read_manifest(folder))
    return PhaseOne(f"{NAME} {encoder.name}", files[WEIGHTS], files, folder)


def weights_of(folder: Path) -> tuple[int, int]:
    """Weights of a checkpoint, and those of them outside the embeddings."""
    from safetensors import safe_open

    with safe_open(folder / WEIGHTS, framework="numpy") as file:
        sizes = {name: int(np.prod(file.get_slice(name).get_shape())) for name in file.keys()}  # noqa: SIM118
    return sum(sizes.values()), sum(
        size for name, size in sizes.items() if "embeddings." not in name
    )


def write_rows(folder: Path, benchmark: Benchmark, scale: Scale, vocabulary: int) -> list[str]:
    """Generated rows for every split that own data may stand in for.

    Args:
        scale: says how many a task is trained on.
        vocabulary: ids of the tokenizer.

    Returns:
        The names of the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Of a place with two formats the first.
    places: dict[Place, tuple[Part, ...]] = {}
    for place, parts in known_names(benchmark).values():
        places.setdefault(place, parts)
    names: list[str] = []
    for place, parts in places.items():
        task = benchmark.tasks.get(place.task)
        text = _Text(Pieces(vocabulary), np.random.default_rng(zlib.crc32(str(place).encode())))
        count = _count(place, task, scale)
        made = _FORMS[None if task is None else task.form](text, place, task, count)
        # A file may be two parts, such as both sides of parallel text.
        for name, content in zip(dict.fromkeys(part.source for part in parts), made, strict=True):
            # Not synced one by one: what is not whole is written again.
            (folder / name).write_text(content, encoding="utf-8")
            names.append(name)
    return sorted(names)


def _count(place: Place, task: Task | None, scale: Scale) -> int:
    if task is None:
        return scale.mlm.rows or 1
    if task.form is TaskForm.MINING:
        return CORPUS
    if task.form is TaskForm.SEARCH:
        return PAIRS
    if place.split is not Split.TRAIN:
        return EVALUATED
    return scale.tuning(task.tuning or task.name).train_rows or EVALUATED


@dataclass(frozen=True, slots=True)
class _Text:
    """Draws text in tokens."""

    pieces: Pieces
    random: np.random.Generator

    def words(self, tokens: int) -> list[str]:
        """Words that are so many tokens together."""
        ends = np.minimum(np.cumsum(self.word_lengths(tokens)), tokens)
        # Zipf's law: a piece is as rare as its rank is high.
        ranks = (self.pieces.half ** self.random.random(tokens)).astype(int) - 1
        own = [self.pieces.piece(int(rank)) for rank in ranks]
        starts = [0, *ends]
        return ["".join(own[start:end]) for start, end in pairwise(starts) if start < end]

    def text(self, tokens: int) -> str:
        """The same as one text; never an empty one."""
        return " ".join(self.words(max(1, tokens)))

    def word_lengths(self, count: int) -> list[int]:
        """Tokens of so many words."""
        return [int(length) for length in drawn(PIECES, count, self.random)]

    def lengths(self, task: str, field: int, count: int) -> list[int]:
        """Tokens of one text of each of so many examples."""
        return [int(length) for length in drawn(LENGTHS[task][field], count, self.random)]

    def texts(self, task: str, field: int, count: int) -> list[str]:
        """One text of each of so many examples."""
        return [self.text(length) for length in self.lengths(task, field, count)]


_Make = Callable[[_Text, Place, Any, int], list[str]]


def _pairs(text: _Text, place: Place, task: Task, count: int) -> list[str]:
    sides = (text.texts(task.name, field, count) for field in (0, 1))
    return [_lines(zip(*sides, islice(cycle(task.labels), count), strict=True))]


def _choices(text: _Text, place: Place, task: Task, count: int) -> list[str]:
    choices = CHOICES[task.name]
    prompts = text.texts(task.name, 0, count)
    return [
        _lines(
            (prompt, *text.texts(task.name, 1, choices), str(row % choices))
            for row, prompt in enumerate(prompts)
        )
    ]


def _tagged(text: _Text, place: Place, task: Task, count: int) -> list[str]:
    labels = task.labels or tuple(f"C{number}" for number in range(SUPERTAGS))
    # A name inside would have to follow its beginning.
    tags = cycle([tag for tag in labels if not tag.startswith("I-")])
    lengths = text.lengths(task.name, 0, count)
    if place.split is Split.TRAIN and not task.labels:
        # What the data define has to occur in them; a cap takes no more than it says.
        lengths += [len(labels) // 8] * 8 + [len(labels) % 8 or 1]
    sentences = (
        _lines(("".join(text.words(size)), next(tags)) for size in text.word_lengths(length))
        for length in lengths
    )
    return ["\n".join(sentences)]


def _spans(text: _Text, place: Place, task: Task, count: int) -> list[str]:
    paragraphs = []
    sizes = zip(*(text.lengths(task.name, field, count) for field in (0, 1, 2)), strict=True)
    for row, (question, context, answer) in enumerate(sizes):
        words = text.words(context)
        at = int(text.random.integers(len(words)))
        found = " ".join(words[at : at + max(1, answer // 2)])
        start = len(" ".join(words[:at])) + (at > 0)
        impossible = task.name == "squad_v2" and row % 3 == 2
        answers = [] if impossible else [{"text": found, "answer_start": start}]
        asked: dict[str, Any] = {
            "id": f"{place}-{row}",
            "question": text.text(question),
            "answers": answers,
        }
        if task.name == "squad_v2":
            asked["is_impossible"] = impossible
        paragraphs.append({"context": " ".join(words), "qas": [asked]})
    return [json.dumps({"data": [{"title": str(place), "paragraphs": paragraphs}]})]


def _corpora(text: _Text, place: Place, task: Task, count: int) -> list[str]:
    sides = [text.texts(task.name, 0, count) for _ in range(2)]
    gold = ((str(row), str(count - 1 - row)) for row in range(count // 4))
    return [*("".join(f"{line}\n" for line in side) for side in sides), _lines(gold)]


def _parallel(text: _Text, place: Place, task: Task, count: int) -> list[str]:
    sides = (text.texts(task.name, 0, count) for _ in range(2))
    return [_lines(zip(*sides, strict=True))]


def _running(text: _Text, place: Place, task: None, count: int) -> list[str]:
    return ["".join(f"{line}\n" for line in text.texts(TEXT, 0, count))]


_FORMS: Mapping[TaskForm | None, _Make] = {
    TaskForm.PAIR: _pairs,
    TaskForm.CHOICE: _choices,
    TaskForm.TAGGING: _tagged,
    TaskForm.SPAN: _spans,
    TaskForm.MINING: _corpora,
    TaskForm.SEARCH: _parallel,
    None: _running,
}


def _lines(rows: Any) -> str:
    return "".join("\t".join(cells) + "\n" for cells in rows)
