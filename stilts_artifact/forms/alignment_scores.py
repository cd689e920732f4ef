"""Files of alignment scores: how near translations lie, in every layer of an encoder.

    layer,language,variant,accuracy,from-source,to-source,log-odds,...
    0,de,raw,61.442163,60.891337,61.992989,0.466093,...

A line for each language, layer and variant, numbers to six decimals; an empty cell is a measure
that is not defined, such as one of vectors that are all the same. The scores at the layer that a
scale reports follow from the published ranks, and are held to them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Literal, NamedTuple, get_args

from stilts_artifact.data.readers.text import numbered_lines, shown
from stilts_artifact.documents import read_document, whole_number
from stilts_artifact.errors import DataError
from stilts_artifact.forms.alignment import VARIANTS, Ranks, Variant
from stilts_artifact.forms.submission import MAKE_AGAIN, write_text

SCORES = "scores"
"""Of a run, beside its predictions, and laid out like them."""

Measure = Literal[
    "accuracy",
    "from-source",
    "to-source",
    "log-odds",
    "cosine-accuracy",
    "gap",
    "cka",
    "rsa",
    "hubness",
    "never-found",
    "isotropy",
    "language-identity",
]
"""What is measured; see :mod:`stilts_artifact.retrieval.alignment`. The first four follow from
ranks."""
MEASURES: tuple[Measure, ...] = get_args(Measure)

Measures = Mapping[Measure, float]
"""Every measure of one place; NaN where it is not defined."""


class ScorePlace(NamedTuple):
    """What a line of a file is about."""

    layer: int
    language: str
    variant: Variant


Scores = Mapping[ScorePlace, Measures]

_HEADER = ",".join(["layer", "language", "variant", *MEASURES])
_NUMBER = re.compile(r"(?:-?[0-9]{1,9}\.[0-9]{6})?", re.ASCII)


def scores_file(folder: Path, task: str, split: str) -> Path:
    """Where the file of a run lies.

    Example:
        >>> scores_file(Path("scores"), "ntrex", "test").as_posix()
        'scores/ntrex/test.csv'
    """
    return folder / task / f"{split}.csv"


def places(languages: Sequence[str], layers: int) -> Iterator[ScorePlace]:
    """Every line of a file, in order.

    Args:
        layers: how many, the embeddings among them.
    """
    for language, layer, variant in product(languages, range(layers), VARIANTS):
        yield ScorePlace(layer, language, variant)


def accuracies(ranks: Ranks) -> dict[Measure, float]:
    """The measures that follow from ranks alone, of one variant: points, and log-odds.

    Log-odds are those of the accuracy, half a sentence from either end, as effects of studies have
    them (:func:`stilts_artifact.studies.effects.in_scale`).

    Args:
        ranks: array [sentences, 2].

    Example:
        >>> import numpy as np
        >>> found = accuracies(np.array([[1, 2], [1, 1], [3, 1], [1, 1]]))
        >>> {name: round(value, 2) for name, value in found.items()}
        {'accuracy': 75.0, 'from-source': 75.0, 'to-source': 75.0, 'log-odds': 1.1}
    """
    away, back = (100.0 * float((ranks[:, way] == 1).mean()) for way in (0, 1))
    end = 0.5 / len(ranks)
    share = min(max((away + back) / 200, end), 1 - end)
    return {
        "accuracy": (away + back) / 2,
        "from-source": away,
        "to-source": back,
        "log-odds": math.log(share / (1 - share)),
    }


def write_scores(path: Path, scores: Scores) -> Path:
    """Write the scores of a run, lines in the order that they are given in."""
    lines = [_HEADER]
    for place, measures in scores.items():
        numbers = (written(measures[name]) for name in MEASURES)
        lines.append(",".join([str(place.layer), place.language, place.variant, *numbers]))
    return write_text(path, "".join(f"{line}\n" for line in lines))


def written(value: float) -> str:
    """A number as the file has it.

    Example:
        >>> written(-1e-9), written(1.5), written(float("nan"))
        ('0.000000', '1.500000', '')
    """
    if math.isnan(value):
        return ""
    # 0.0 -: no number is written as -0.000000.
    return f"{0.0 - round(-value, 6):.6f}"


def read_scores(path: Path) -> dict[ScorePlace, Measures]:
    """The scores of a file.

    Raises:
        DataError: as :func:`parse_scores`.
    """
    return parse_scores(read_document(path), str(path))


def parse_scores(data: bytes, where: str) -> dict[ScorePlace, Measures]:
    """The scores of a file's bytes.

    Raises:
        DataError: another header, a line that is none, a place twice, or anything but all layers
            and variants of every language, in order.
    """
    lines = list(numbered_lines(data, where))
    place, header = lines[0]
    if header != _HEADER:
        raise _fault("not a file of alignment scores", place, header, _HEADER)
    found: dict[ScorePlace, Measures] = {}
    for place, line in lines[1:]:
        about, measures = _parse_line(line, place)
        if about in found:
            raise _fault("scores of one place twice", place, line, "each place once")
        found[about] = measures
    languages = list(dict.fromkeys(about.language for about in found))
    due = list(places(languages, 1 + max((about.layer for about in found), default=0)))
    if list(found) != due or not found:
        missing = next((one for one in due if one not in found), "another order")
        expected = "every language's layers and variants, in order"
        raise _fault("not the scores of all layers", where, f"without {missing}", expected)
    return found


def _parse_line(line: str, place: str) -> tuple[ScorePlace, Measures]:
    cells = line.split(",")
    layer = whole_number(cells[0])
    variant = next((one for one in VARIANTS if one == "".join(cells[2:3])), None)
    numbers = cells[3:]
    if (
        layer is None
        or variant is None
        or len(numbers) != len(MEASURES)
        or not all(map(_NUMBER.fullmatch, numbers))
    ):
        expected = f"layer, language, variant and {len(MEASURES)} numbers with six decimals"
        raise _fault("not the scores of a layer", place, line, expected)
    values = (float(number) if number else math.nan for number in numbers)
    return ScorePlace(layer, cells[1], variant), dict(zip(MEASURES, values, strict=True))


def _fault(what: str, place: str, got: str, expected: str) -> DataError:
    return DataError(what, where=place, got=shown(got), expected=expected, fix=MAKE_AGAIN)
