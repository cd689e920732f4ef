"""Every form of task refuses what its siblings refuse: one row a guard, one column a form.

| guard                              | pair | choice | tagging | span | mining | search | align |
|------------------------------------|------|--------|---------|------|--------|--------|-------|
| labels are blinded (a placeholder) | yes  | yes    | yes     | yes  | yes    | yes    | yes   |
| labels are empty                   | yes  | yes    | yes     | yes  | yes    | yes    | yes   |
| labels have a header or a BOM      | yes  | yes    | yes     | yes  | yes    | yes    | yes   |
| labels name one thing twice        |  -   |   -    |    -    | yes  | yes    | yes    | yes   |
| labels hold what is none           | yes  | yes    | yes     | yes  | yes    | yes    | yes   |
| predictions are empty              | yes  | yes    | yes     | yes  |  -     | yes    | yes   |
| predictions are missing or surplus | yes  | yes    | yes     | yes  |  -     | yes    | yes   |
| predictions hold what is none      | yes  | yes    | yes     | yes  | yes    | yes    | yes   |

Without: labels, tags and indices of choices repeat by nature; mining may find any number of pairs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest

from stilts_artifact.domain.tasks import Benchmark, Task, TaskForm
from stilts_artifact.errors import DataError
from stilts_artifact.forms import form_of


def squad(answers: Sequence[object], identity: str = "q{}") -> str:
    """Labels of as many questions, one a line, with one answer each."""
    questions = [
        json.dumps({"id": identity.format(number), "answers": [{"text": text}]})
        for number, text in enumerate(answers)
    ]
    return '{"data": [{"paragraphs": [{"qas": [' + ",\n".join(questions) + "]}]}]}"


def answers(count: int) -> str:
    return json.dumps({f"q{number}": "a" for number in range(count)}, indent=0)


class Files(NamedTuple):
    """What a form's files look like; ``None`` where the guard has no meaning.

    Args:
        gold, predicted: that fit each other.
        blinded: 21 or more placeholders.
        header: before the first line of labels.
        twice: labels that name one thing twice.
        alien: labels that hold no label, in their second line.
        wrong: predictions that hold no label, in their second line.
        fewer, more: predictions than labels.
    """

    gold: str
    predicted: str
    blinded: str
    header: str
    twice: tuple[str, int] | None
    alien: str
    wrong: str
    fewer: str | None
    more: str | None
    may_be_empty: bool = False


SAMPLES = {
    TaskForm.PAIR: Files(
        gold="neutral\nentailment\n",
        predicted="neutral\nneutral\n",
        blinded="neutral\n" * 21,
        header="label\n",
        twice=None,
        alien="neutral\nNone\n",
        wrong="neutral\nnan\n",
        fewer="neutral\n",
        more="neutral\n" * 3,
    ),
    TaskForm.CHOICE: Files(
        gold="1\n0\n",
        predicted="1\n1\n",
        blinded="0\n" * 21,
        header="label\n",
        twice=None,
        alien="1\n-1\n",
        wrong="1\n01\n",
        fewer="1\n",
        more="1\n" * 3,
    ),
    TaskForm.TAGGING: Files(
        gold="NOUN\nVERB\n\nSYM\n",
        predicted="NOUN\nNOUN\n\nSYM\n",
        blinded="NOUN\n\n" * 21,
        header="tag\n",
        twice=None,
        alien="NOUN\n_\n",
        wrong="NOUN\nnoun\n\nSYM\n",
        fewer="NOUN\nVERB\n",
        more="NOUN\nVERB\n\nSYM\nSYM\n",
    ),
    TaskForm.SPAN: Files(
        gold=squad(["a", "b"]),
        predicted=answers(2),
        blinded=squad([""] * 21),
        header="id\tanswer\n",
        twice=(squad(["a", "b"], "same"), 2),
        alien=squad(["a", None]),
        wrong='{"q0": "a",\n"q1": null}',
        fewer=answers(1),
        more=answers(3),
    ),
    TaskForm.MINING: Files(
        gold="de-1\ten-1\nde-2\ten-2\n",
        predicted="de-1\ten-1\n",
        blinded="".join(f"de-{number}\ten-0\n" for number in range(21)),
        header="source_id\ttarget_id\n",
        twice=("de-1\ten-1\nde-2\ten-2\nde-1\ten-1\n", 3),
        alien="de-1\ten-1\nfr-2\ten-2\n",
        wrong="de-1\ten-1\nen-2\tde-2\n",
        fewer=None,
        more=None,
        may_be_empty=True,
    ),
    TaskForm.SEARCH: Files(
        gold="1\n0\n",
        predicted="1\n1\n",
        blinded="0\n" * 150,
        header="line\n",
        twice=("1\n0\n1\n", 3),
        alien="1\n-1\n",
        wrong="1\n00\n",
        fewer="1\n",
        more="1\n" * 3,
    ),
    TaskForm.ALIGNMENT: Files(
        gold="one\t0\ntwo\t1\n",
        predicted="1\t1\t1\t1\t1\t1\n2\t1\t2\t1\t1\t1\n",
        blinded="".join(f"document\t{number}\n" for number in range(21)),
        header="document\tsentence\n",
        twice=("one\t0\none\t0\n", 2),
        alien="one\t0\ntw o\t1\n",
        wrong="1\t1\t1\t1\t1\t1\n2\t1\t3\t1\t1\t1\n",
        fewer="1\t1\t1\t1\t1\t1\n",
        more="1\t1\t1\t1\t1\t1\n" * 3,
    ),
}
TASKS = {
    TaskForm.PAIR: "xnli",
    TaskForm.TAGGING: "udpos",
    TaskForm.SPAN: "xquad",
    TaskForm.MINING: "bucc2018",
    TaskForm.SEARCH: "tatoeba",
}


class Scoring:
    """Scores one file against another in both ways, the careful and the fast."""

    def __init__(self, form: TaskForm, benchmark: Benchmark, folder: Path) -> None:
        # No target of XTREME is multiple choice.
        self.task: Task = replace(benchmark.tasks[TASKS.get(form, "tatoeba")], form=form)
        self.gold, self.predicted = folder / "gold", folder / "predicted"

    def sums(self, gold: str, predicted: str) -> tuple[float, ...]:
        self.gold.write_text(gold)
        self.predicted.write_text(predicted)
        form = form_of(self.task)
        careful = form.count(self.task, "de", self.predicted, self.gold)
        fast = form.read_gold(self.task, "de", self.gold).tally(
            self.predicted, self.predicted.read_bytes()
        )
        assert tuple(careful.counts.sum(axis=0)) == fast
        return fast

    def refused(self, gold: str, predicted: str, *, place: Path, line: int) -> str:
        """What both ways say, which must be the same and name the line."""
        self.gold.write_text(gold)
        self.predicted.write_text(predicted)
        form = form_of(self.task)
        with pytest.raises(DataError) as careful:
            form.count(self.task, "de", self.predicted, self.gold)
        with pytest.raises(DataError) as fast:
            form.read_gold(self.task, "de", self.gold).tally(
                self.predicted, self.predicted.read_bytes()
            )
        assert str(careful.value) == str(fast.value)
        assert careful.value.where == f"{place}:{line}"
        return careful.value.what

    def gold_refused(self, gold: str, files: Files, line: int = 1) -> str:
        return self.refused(gold, files.predicted, place=self.gold, line=line)


@pytest.fixture(params=list(SAMPLES), ids=str)
def form(request: pytest.FixtureRequest) -> TaskForm:
    found: TaskForm = request.param
    return found


@pytest.fixture
def files(form: TaskForm) -> Files:
    return SAMPLES[form]


@pytest.fixture
def scoring(form: TaskForm, benchmark: Benchmark, tmp_path: Path) -> Scoring:
    return Scoring(form, benchmark, tmp_path)


def test_every_form_has_its_sample() -> None:
    assert set(SAMPLES) == set(TaskForm)


def test_files_that_fit_are_scored(scoring: Scoring, files: Files) -> None:
    assert sum(scoring.sums(files.gold, files.predicted)) > 0


def test_blinded_labels_are_refused_in_every_form(scoring: Scoring, files: Files) -> None:
    assert "blinded" in scoring.gold_refused(files.blinded, files)


def test_empty_labels_are_refused_in_every_form(scoring: Scoring, files: Files) -> None:
    for empty in ("", "\n \n"):
        assert scoring.gold_refused(empty, files) == "empty file"


def test_a_header_or_mark_in_labels_is_refused_in_every_form(
    scoring: Scoring, files: Files
) -> None:
    for start in (files.header, "\ufeff", "\ufeff" + files.header):
        scoring.gold_refused(start + files.gold, files)
        # What is valid is the benchmark's to say: labels with the same fault do not make it so.
        with pytest.raises(DataError):
            scoring.sums(start + files.gold, start + files.predicted)


def test_labels_that_name_one_thing_twice_are_refused(scoring: Scoring, files: Files) -> None:
    if files.twice is None:
        assert scoring.sums(files.gold, files.predicted)  # Labels of this form repeat by nature.
    else:
        scoring.gold_refused(files.twice[0], files, files.twice[1])


def test_labels_that_are_none_are_refused_in_every_form(scoring: Scoring, files: Files) -> None:
    scoring.gold_refused(files.alien, files, 2)


def test_empty_predictions_are_refused_but_those_of_mining(scoring: Scoring, files: Files) -> None:
    if files.may_be_empty:
        assert scoring.sums(files.gold, "")[0] == 0
    else:
        scoring.refused(files.gold, "", place=scoring.predicted, line=1)
    scoring.refused(files.gold, "\n", place=scoring.predicted, line=1)


def test_missing_and_surplus_predictions_are_refused(scoring: Scoring, files: Files) -> None:
    # None for mining: any number of pairs may be found.
    for predicted in filter(None, (files.fewer, files.more)):
        scoring.gold.write_text(files.gold)
        scoring.predicted.write_text(predicted)
        with pytest.raises(DataError, match=r"length mismatch|missing id|unknown id"):
            form_of(scoring.task).count(scoring.task, "de", scoring.predicted, scoring.gold)


def test_predictions_that_are_none_are_refused_in_every_form(
    scoring: Scoring, files: Files
) -> None:
    scoring.refused(files.gold, files.wrong, place=scoring.predicted, line=2)
