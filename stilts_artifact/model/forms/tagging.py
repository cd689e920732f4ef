"""Word-level tagging: the tag of a word is read at its first sub-token.

A sentence longer than the model reads is split between words, never cut off: every word of every
sentence gets a prediction, so predictions align with gold one to one. (XTREME drops what exceeds
the limit and splits the files beforehand instead, which moves sentence borders.)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, ClassVar, NamedTuple

import numpy as np

from stilts_artifact.domain.examples import TaggedSentence
from stilts_artifact.domain.tasks import TaskForm
from stilts_artifact.errors import IntegrityError
from stilts_artifact.forms import TAGGING
from stilts_artifact.forms.tagging import Tags, write_tags
from stilts_artifact.metrics.chunk_f1 import chunk_counts
from stilts_artifact.metrics.ratios import precision_recall_f1
from stilts_artifact.model.features import Frame, Ids, frame_of, pieces
from stilts_artifact.model.forms.base import Columns, Schema, TrainedForm

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedTokenizerFast

    from stilts_artifact.domain.tasks import Task
    from stilts_artifact.model.forms.base import Outputs
    from stilts_artifact.model.heads import TaggingHead
    from stilts_artifact.model.loading import EncoderConfig
    from stilts_artifact.model.prepared import Prepared

_SAME = 1e-9  # points; both scorers divide the same small integers


class TrainedTagging(TrainedForm[TaggedSentence, Tags]):
    """POS, NER and supertags."""

    form = TaskForm.TAGGING
    # "example" is the index of the sentence, of which a long one has several rows.
    features: ClassVar[Schema] = {
        "input_ids": "numbers",
        "tags": "numbers",
        "positions": "numbers",
        "example": "number",
    }
    examples: ClassVar[Schema] = {"tags": "texts"}
    second = None

    def prepare(
        self,
        tokenizer: PreTrainedTokenizerFast,
        labels: Sequence[str],
        examples: Sequence[TaggedSentence],
        max_length: int,
    ) -> tuple[Columns, Columns]:
        """A row for each stretch of a sentence that fits.

        A tag outside ``labels``, such as a supertag that training data lacks, is learnt from
        nowhere and scored as wrong.
        """
        from stilts_artifact.model.heads import IGNORED

        index = {label: at for at, label in enumerate(labels)}
        chunks = tag_chunks(tokenizer, [example.words for example in examples], max_length)
        numbers = [[index.get(tag, IGNORED) for tag in example.tags] for example in examples]
        features: Columns = {
            "input_ids": [chunk.input_ids for chunk in chunks],
            "tags": tag_labels(chunks, numbers, IGNORED),
            "positions": [chunk.positions for chunk in chunks],
            "example": [chunk.sentence for chunk in chunks],
        }
        return features, {"tags": [list(example.tags) for example in examples]}

    def head_class(self) -> type[TaggingHead]:
        """One score for each tag of each token."""
        from stilts_artifact.model.heads import TaggingHead

        return TaggingHead

    def head(self, config: EncoderConfig, labels: int) -> TaggingHead:
        """A fresh head."""
        return self.head_class()(config, labels)

    def kept(self, scores: torch.Tensor) -> torch.Tensor:
        """The best tag of each token, int64 [rows, length].

        The scores of a thousand supertags for every token would fill the memory.
        """
        return scores.argmax(-1)

    def decode(self, prepared: Prepared, outputs: Outputs) -> list[list[str]]:
        """A tag for each word of each sentence."""
        rows = [row.tolist() for row in outputs]
        tags = join_tags(chunks_of(prepared), rows, len(prepared.examples))
        return [[prepared.labels[tag] for tag in sentence] for sentence in tags]

    def development_score(self, prepared: Prepared, predictions: Tags) -> float:
        """Accuracy of supertags; else chunk F1, of names by seqeval itself."""
        gold: list[list[str]] = prepared.examples["tags"][:]
        if prepared.metrics[0] == "accuracy":
            right = [
                ours == truth
                for sentence in zip(predictions, gold, strict=True)
                for ours, truth in zip(*sentence, strict=True)
            ]
            return 100 * sum(right) / len(right)
        if _are_names(prepared.labels):
            return seqeval_f1(predictions, gold)
        return float(precision_recall_f1(chunk_counts(predictions, gold).sum(0))["f1"])

    def constants(self, prepared: Prepared) -> Iterable[list[list[str]]]:
        """The commonest tag for every word."""
        sentences: list[list[str]] = prepared.examples["tags"][:]
        ((commonest, _),) = Counter(tag for tags in sentences for tag in tags).most_common(1)
        return [[[commonest] * len(tags) for tags in sentences]]

    def confirm(self, task: Task, prepared: Prepared, predictions: Tags, file: Path) -> None:
        """Of names: the score that is published is seqeval's.

        ``check`` and the bootstrap count chunks by our own vectorised rule, so that they need
        neither seqeval nor scikit-learn; here, where both are at hand, the two are held together.
        POS tags follow another rule (:mod:`stilts_artifact.metrics.chunk_f1`).
        """
        if not _are_names(prepared.labels):
            return
        gold: list[list[str]] = prepared.examples["tags"][:]
        with TemporaryDirectory(prefix="stilts-confirm-") as folder:
            labels = write_tags(Path(folder), task.name, "any", gold)
            counted = [
                # What check computes cells from, and what the bootstrap draws from.
                np.array(TAGGING.read_gold(task, "any", labels).tally(file, file.read_bytes())),
                TAGGING.count(task, "any", file, labels).counts.sum(axis=0),
            ]
        expected = seqeval_f1(predictions, gold)
        for sums in counted:
            published = float(TAGGING.points(sums)["f1"])
            if abs(published - expected) > _SAME:
                raise IntegrityError(
                    "the F1 of names is not seqeval's",
                    where=str(file),
                    got=repr(published),
                    expected=repr(expected),
                )


def seqeval_f1(predicted: Tags, gold: Tags) -> float:
    """Micro F1 of names in points, by seqeval; 0 where undefined."""
    from seqeval.metrics import f1_score

    ours, truth = [list(tags) for tags in predicted], [list(tags) for tags in gold]
    return 100 * float(f1_score(truth, ours, zero_division=0))


def _are_names(labels: Sequence[str]) -> bool:
    """Whether tags are of the form ``B-LOC``, ``I-LOC`` and ``O``, which all scorers read alike."""
    return bool(labels) and all(label == "O" or label[:2] in ("B-", "I-") for label in labels)


class TagChunk(NamedTuple):
    """Consecutive words of one sentence that fit into one input.

    Args:
        sentence: index of the sentence.
        input_ids: its tokens.
        positions: for each word of the chunk, in order, the position of its first sub-token.
    """

    sentence: int
    input_ids: Ids
    positions: list[int]


def tag_chunks(
    tokenizer: PreTrainedTokenizerFast, sentences: Sequence[Sequence[str]], max_length: int
) -> list[TagChunk]:
    """Chunks of all sentences, in order; together they hold every word exactly once.

    A word that the tokenizer makes nothing of (a zero-width space, say) stands as unknown. A word
    with more sub-tokens than an input can hold keeps its first ones.

    Raises:
        ConfigError: no room for a single token.
    """
    frame = frame_of(tokenizer)
    room = frame.single_room(max_length)
    words = sorted({word for sentence in sentences for word in sentence})
    # Words are tokenised by themselves, as the tokenizer itself does with text that comes split
    # into words.
    ids = {
        word: (own or [tokenizer.unk_token_id])[:room]
        for word, own in zip(words, pieces(tokenizer, words), strict=True)
    }
    return [
        chunk
        for index, sentence in enumerate(sentences)
        for chunk in _chunks(index, [ids[word] for word in sentence], room, frame)
    ]


def _chunks(sentence: int, words: Sequence[Ids], room: int, frame: Frame) -> Iterator[TagChunk]:
    tokens: Ids = []
    positions: list[int] = []
    for word in words:
        # No word is longer than the room, so no chunk is without words.
        if len(tokens) + len(word) > room:
            yield TagChunk(sentence, frame.single(tokens), positions)
            tokens, positions = [], []
        positions.append(len(frame.alone[0]) + len(tokens))
        tokens.extend(word)
    if positions:
        yield TagChunk(sentence, frame.single(tokens), positions)


def tag_labels(
    chunks: Sequence[TagChunk], tags: Sequence[Sequence[int]], ignored: int
) -> list[list[int]]:
    """Labels of every token of every chunk: a word's tag at its first sub-token.

    Args:
        ignored: label of all other tokens.
        tags: of each sentence, one for each word.
    """
    labels = []
    # Iterators, so that each chunk goes on where the one before it in the sentence ended.
    rests = [iter(sentence) for sentence in tags]
    for chunk in chunks:
        row = [ignored] * len(chunk.input_ids)
        for position in chunk.positions:
            row[position] = next(rests[chunk.sentence])
        labels.append(row)
    return labels


def join_tags(
    chunks: Sequence[TagChunk], predicted: Sequence[Sequence[int]], sentences: int
) -> list[list[int]]:
    """Tags of whole sentences from tags of every token of every chunk.

    Args:
        predicted: for each chunk, a tag for each of its tokens (or more: padding is not looked at).
        sentences: how many there are.
    """
    tags: list[list[int]] = [[] for _ in range(sentences)]
    for chunk, row in zip(chunks, predicted, strict=True):
        tags[chunk.sentence].extend(row[position] for position in chunk.positions)
    return tags


def chunks_of(prepared: Prepared) -> list[TagChunk]:
    """The chunks behind the features, in order; their ``input_ids`` are left empty."""
    columns = prepared.features.to_dict()
    return [
        TagChunk(example, [], positions)
        for example, positions in zip(columns["example"], columns["positions"], strict=True)
    ]
