"""Retrieval with the encoder of phase (ii) as it is: nothing is trained, the encoder is evaluated directly."""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stilts_artifact.data.library import Library
from stilts_artifact.documents import dump_json
from stilts_artifact.domain.tasks import Split, Task, TaskForm
from stilts_artifact.files import write_file
from stilts_artifact.metrics.submission import write_indices, write_pairs

if TYPE_CHECKING:
    from stilts_artifact.retrieval.embed import Pooling
    from stilts_artifact.retrieval.encoder import SentenceEncoder
    from stilts_artifact.retrieval.margin import Margin
    from stilts_artifact.retrieval.transformer import Dtype

REPORT = "report.json"


@dataclass(frozen=True, slots=True)
class Retrieving:
    """What a retrieval score means; see :class:`View`, :class:`Batching` and :class:`Mining`.

    Args:
        dtype: of the arithmetic on a GPU; a CPU computes in float32.
        center: whether the languages' means are aligned before mining.
    """

    layer: int
    pooling: Pooling
    max_length: int
    neighbours: int
    margin: Margin
    dtype: Dtype
    center: bool = False


def retrieve(
    *,
    task: Task,
    split: Split,
    languages: Sequence[str],
    encoder: Path,
    options: Retrieving,
    library: Library,
    work: Path,
    out: Path,
) -> None:
    """Write ``out/{task}/{split}-{language}.tsv`` for each language, and ``out/report.json`` with the cuts.

    A mining task is cut where its development corpora say; on these themselves that is an upper
    bound, and the report calls it ``oracle``.

    Args:
        encoder: checkpoint folder, verified against its manifest.
        work: folder where vectors lie while they are used.

    Raises:
        IntegrityError: the encoder's folder is damaged.
        DataError, MissingDataError: the corpora.
        ConfigError: the encoder has no such layer.
        ResourceError: out of memory or disk.
    """
    encode = sentence_encoder(encoder, options, work)
    answer = _mine if task.form is TaskForm.MINING else _search
    found = {}
    for language in languages:
        found[language] = answer((task, split, language), encode, options, library, out)
        for made in work.iterdir():
            shutil.rmtree(made)
    report = {
        "encoder": encode.description.revision,
        "task": task.name,
        "split": split,
        "options": asdict(options),
        "languages": found,
    }
    write_file(out / REPORT, dump_json(report))


def sentence_encoder(
    folder: Path,
    options: Retrieving,
    work: Path,
    *,
    name: tuple[str, str] | None = None,
    device: str = "auto",
) -> SentenceEncoder:
    """The function from sentences to vectors that a checkpoint stands for.

    Args:
        name: of the encoder, and its revision; by default that of the folder, and the sha256 of the
            weights.
        device: as torch names it; ``auto`` takes a GPU if there is one.

    Raises:
        MissingDataError, IntegrityError: as :func:`stilts_artifact.model.loading.load_encoder`;
            that there is no pooler does not matter.
        ConfigError: the encoder has no such layer.
    """
    import torch

    from stilts_artifact.model.loading import load_encoder
    from stilts_artifact.retrieval.embed import Batching, View
    from stilts_artifact.retrieval.sentences import TransformerSentences
    from stilts_artifact.retrieval.transformer import wrap_transformer

    if device == "auto":
        device = "cuda" if torch.cuda.is_available() else "cpu"
    loaded = load_encoder(folder, may_initialise=("pooler.",))
    transformer = wrap_transformer(
        name or (folder.name, loaded.revision),
        loaded.model,
        loaded.tokenizer,
        deepest=options.layer,
        dtype="float32" if device == "cpu" else options.dtype,
        device=device,
    )
    view = View(layer=options.layer, pooling=options.pooling)
    return TransformerSentences(transformer, view, Batching(max_length=options.max_length), work)


_Place = tuple[Task, Split, str]


def _mine(
    place: _Place, encode: SentenceEncoder, options: Retrieving, library: Library, out: Path
) -> dict[str, Any]:
    from stilts_artifact.retrieval.bucc import BuccOptions, mine_split
    from stilts_artifact.retrieval.calibration import read_corpus
    from stilts_artifact.retrieval.mine import Mining

    task, split, language = place
    mining = Mining(neighbours=options.neighbours, margin=options.margin, center=options.center)

    def read(wanted: Split) -> Any:
        return read_corpus(task, wanted, language, library)

    mined = mine_split(split, read, encode, BuccOptions(mining=mining))
    write_pairs(out, task.name, language, mined.predictions, split)
    cut = mined.cut
    return {
        "margin": mining.name,
        "threshold_policy": str(mined.threshold),
        "threshold": cut.threshold if math.isfinite(cut.threshold) else None,
        "candidates": len(mined.candidates.pairs),
        "accepted": cut.accepted,
        "repeated_sentences": mined.candidates.repeated,
    }


def _search(
    place: _Place, encode: SentenceEncoder, options: Retrieving, library: Library, out: Path
) -> dict[str, Any]:
    from stilts_artifact.retrieval.calibration import read_pairs
    from stilts_artifact.retrieval.tatoeba import find_translations

    task, split, language = place
    pairs = read_pairs(task, split, language, library)
    write_indices(out, task.name, language, find_translations(pairs, encode), split)
    return {"sentences": len(pairs)}
