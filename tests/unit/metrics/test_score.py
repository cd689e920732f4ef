"""Whole folders: what is scored, what is refused, what must not matter."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path

import pytest

from stilts_artifact.domain.examples import Answer, SpanExample
from stilts_artifact.domain.tasks import Benchmark, TaskForm
from stilts_artifact.errors import DataError, MissingDataError
from stilts_artifact.forms import FORMS as ALL_FORMS
from stilts_artifact.forms import mining, span, submission, tagging
from stilts_artifact.metrics.score import Scores, score_folders
from tests.unit.metrics.conftest import CODES, FORMS

WORDS = ["电池", "Nile", "river", "Katze", "ที่นี่"]


class Folders:
    """A predictions and a labels folder in the making."""

    def __init__(self, root: Path, benchmark: Benchmark) -> None:
        self.predictions, self.labels, self.benchmark = (
            root / "predictions",
            root / "labels",
            benchmark,
        )

    def put(self, task: str, language: str, predicted: str, gold: str) -> None:
        kind = FORMS[task][0]
        for folder, content in ((self.predictions, predicted), (self.labels, gold)):
            path = submission.file_of(folder, task, language, ALL_FORMS[kind].suffix)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(content)

    def score(self, partial: bool = False) -> Scores:
        return score_folders(
            self.predictions,
            self.labels,
            benchmark=self.benchmark,
            partial=partial,
            resamples=50,
        )

    def fault(self, partial: bool = False) -> DataError:
        with pytest.raises(DataError) as caught:
            self.score(partial)
        return caught.value

    def prediction(self, task: str, language: str = "de") -> Path:
        return submission.file_of(
            self.predictions, task, language, ALL_FORMS[FORMS[task][0]].suffix
        )


@pytest.fixture
def folders(tmp_path: Path, benchmark: Benchmark) -> Folders:
    return Folders(tmp_path, benchmark)


def squad(gold: dict[str, list[str]]) -> str:
    questions = [
        {"id": key, "answers": [{"text": text} for text in texts]} for key, texts in gold.items()
    ]
    return json.dumps({"data": [{"paragraphs": [{"qas": questions}]}]})


def write_gold(folder: Path, task: str, language: str, size: int = 12) -> None:
    """Random gold of one task."""
    rng = random.Random(f"{task}{language}")
    kind, labels = FORMS[task]
    if kind is TaskForm.PAIR:
        submission.write_lines(folder, task, language, [rng.choice(labels) for _ in range(size)])
    elif kind is TaskForm.TAGGING:
        inside = [label for label in labels if label != "O"]
        sentences = [[rng.choice(inside) for _ in range(rng.randint(1, 5))] for _ in range(size)]
        tagging.write_tags(folder, task, language, sentences)
    elif kind is TaskForm.MINING:
        mining.write_pairs(
            folder, task, language, [(f"{language}-{i}", f"en-{i}") for i in range(size)]
        )
    elif kind is TaskForm.SEARCH:
        submission.write_indices(folder, task, language, rng.sample(range(size), size))
    else:
        texts = [" ".join(rng.sample(WORDS, 2)) for _ in range(size)]
        questions = [
            SpanExample(f"q{i}", "?", text, (Answer(text, 0),)) for i, text in enumerate(texts)
        ]
        span.write_gold_answers(folder, task, language, questions)


def predict_gold(folders: Folders, task: str, language: str) -> None:
    """Predictions that repeat the gold."""
    suffix = ALL_FORMS[FORMS[task][0]].suffix
    gold = submission.file_of(folders.labels, task, language, suffix)
    if suffix == ".json":
        answers = {key: texts[0] for key, texts in span.read_gold_answers(gold).items()}
        span.write_answers(folders.predictions, task, language, answers)
    else:
        target = submission.file_of(folders.predictions, task, language, suffix)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(gold, target)


@pytest.fixture
def perfect(folders: Folders) -> Folders:
    for task in FORMS:
        for language in CODES:
            write_gold(folders.labels, task, language)
            predict_gold(folders, task, language)
    return folders


def test_perfect_predictions_give_100_everywhere_and_no_error(perfect: Folders) -> None:
    scores = perfect.score()
    rows = list(scores.rows())
    assert {row.estimate.value for row in rows} == {100.0}
    assert {row.estimate.standard_error for row in rows} == {0.0}
    assert scores.overall is not None
    assert scores.notes == ()
    # 2 accuracy tasks and Tatoeba with 1 metric, 3 with 3, 3 with 2; each in 3 languages and
    # averaged; 9 scores, 4 groups, 1 overall.
    assert len(rows) == (3 * 1 + 3 * 3 + 3 * 2) * 4 + 9 + 4 + 1


def test_json_has_the_documented_shape(perfect: Folders) -> None:
    found = json.loads(json.dumps(perfect.score().to_json()))
    assert set(found) == {"tasks", "groups", "overall", "partial"}
    assert found["partial"] == []
    assert set(found["tasks"]) == set(FORMS)
    assert found["groups"] == dict.fromkeys(["classification", "tagging", "qa", "retrieval"], 100.0)
    assert found["overall"] == 100.0
    assert found["tasks"]["mlqa"] == {
        "score": 100.0,
        "metrics": {"exact_match": 100.0, "f1": 100.0},
        "languages": {code: {"exact_match": 100.0, "f1": 100.0} for code in CODES},
        "missing": [],
        "unanswered": {},
    }
    assert found["tasks"]["udpos"]["metrics"] == {"f1": 100.0, "precision": 100.0, "recall": 100.0}
    assert found["tasks"]["xnli"]["languages"]["zh"] == {"accuracy": 100.0}


@pytest.mark.slow
@pytest.mark.parametrize("task", sorted(FORMS))
def test_without_one_task_there_is_no_overall_and_no_group(perfect: Folders, task: str) -> None:
    shutil.rmtree(perfect.predictions / task)
    found = perfect.score().to_json()
    assert found["overall"] is None
    assert len(found["groups"]) == 3
    assert task not in found["tasks"]


def test_constant_predictions_score_what_theory_says(folders: Folders) -> None:
    folders.put("xnli", "de", "neutral\n" * 4, "neutral\nneutral\nneutral\nentailment\n")
    folders.put("panx", "de", "O\nO\n", "B-LOC\nO\n")
    folders.put("udpos", "de", "NOUN\nNOUN\n\nNOUN\n", "NOUN\nVERB\n\nNOUN\n")
    folders.put("tatoeba", "de", "0\n0\n0\n0\n", "1\n3\n0\n2\n")
    folders.put(
        "xquad",
        "de",
        json.dumps({"a": "Nile", "b": "Nile"}),
        squad({"a": ["Nile"], "b": ["river Nile"]}),
    )
    tasks = folders.score().to_json()["tasks"]
    assert tasks["xnli"]["score"] == 75.0
    assert tasks["panx"]["score"] == 0.0
    # Chunks predicted: NOUN NOUN as one, and NOUN; gold: NOUN, VERB, NOUN. One is right.
    assert tasks["udpos"]["metrics"] == pytest.approx(
        {"f1": 40.0, "precision": 50.0, "recall": 100 / 3}
    )
    assert tasks["tatoeba"]["score"] == 25.0
    assert tasks["xquad"]["metrics"] == pytest.approx(
        {"exact_match": 50.0, "f1": (1 + 2 / 3) / 2 * 100}
    )
    assert tasks["xquad"]["score"] == pytest.approx((50 + (1 + 2 / 3) / 2 * 100) / 2)


def test_mlqa_is_scored_by_the_rules_of_the_language_and_xquad_is_not(folders: Folders) -> None:
    for task in ("mlqa", "xquad", "tydiqa"):
        folders.put(task, "de", '{"q": "die Katze"}', squad({"q": ["Katze"]}))
        folders.put(task, "zh", '{"q": "电池"}', squad({"q": ["电"]}))
    tasks = folders.score().to_json()["tasks"]
    assert tasks["mlqa"]["languages"] == {
        "de": {"exact_match": 100.0, "f1": 100.0},
        "zh": {"exact_match": 0.0, "f1": pytest.approx(200 / 3)},
    }
    for task in ("xquad", "tydiqa"):
        assert tasks[task]["languages"] == {
            "de": {"exact_match": 0.0, "f1": pytest.approx(200 / 3)},
            "zh": {"exact_match": 0.0, "f1": 0.0},
        }


def test_order_of_examples_changes_nothing(folders: Folders) -> None:
    rng = random.Random(5)
    truth = {f"q{i}": " ".join(rng.sample(WORDS, rng.randint(1, 4))) for i in range(30)}
    answers = {key: rng.choice([text, rng.choice(WORDS)]) for key, text in truth.items()}
    pairs = [
        (f"de-{i}\ten-{rng.randrange(9)}\n", f"de-{i}\ten-{rng.randrange(9)}\n") for i in range(30)
    ]

    def score(order: list[int]) -> Scores:
        keys = [f"q{i}" for i in order]
        gold = squad({key: [truth[key]] for key in reversed(keys)})
        folders.put("tydiqa", "de", json.dumps({key: answers[key] for key in keys}), gold)
        folders.put(
            "bucc2018",
            "de",
            "".join(pairs[i][0] for i in order),
            "".join(pairs[i][1] for i in reversed(order)),
        )
        return folders.score()

    first = score(list(range(30)))
    assert first.tasks["tydiqa"].score.standard_error > 0
    assert first == score(rng.sample(range(30), 30))


def test_swapping_the_data_of_two_languages_changes_no_average(folders: Folders) -> None:
    files = {"de": ("0\n1\n1\n", "0\n0\n1\n"), "zh": ("1\n1\n1\n", "1\n1\n1\n")}
    for language, (predicted, gold) in files.items():
        folders.put("pawsx", language, predicted, gold)
    straight = folders.score().tasks["pawsx"]
    for language, (predicted, gold) in files.items():
        folders.put("pawsx", "zh" if language == "de" else "de", predicted, gold)
    swapped = folders.score().tasks["pawsx"]
    assert straight.score.value == swapped.score.value == pytest.approx((200 / 3 + 100) / 2)
    assert straight.languages["de"] == swapped.languages["zh"]


@pytest.mark.parametrize("task", ["xnli", "pawsx", "xquad", "mlqa"])
def test_translations_of_one_example_are_resampled_together(folders: Folders, task: str) -> None:
    kind, labels = FORMS[task]
    for language in CODES:
        if kind is TaskForm.SPAN:
            gold = squad({f"q{i}": ["Nile"] for i in range(20)})
            folders.put(
                task,
                language,
                json.dumps({f"q{i}": "Nile" if i < 8 else "" for i in range(20)}),
                gold,
            )
        else:
            folders.put(
                task,
                language,
                f"{labels[0]}\n" * 20,
                "".join(f"{labels[i < 8]}\n" for i in range(20)),
            )
    scored = folders.score().tasks[task]
    assert scored.score.standard_error == pytest.approx(
        next(iter(scored.languages["de"].values())).standard_error
    )
    assert scored.score.standard_error > 5


def test_partial_folders_are_scored_and_the_gaps_are_named(folders: Folders) -> None:
    folders.put("xnli", "de", "neutral\n", "neutral\n")
    folders.put("pawsx", "de", "0\n", "1\n")
    folders.put("pawsx", "zh", "0\n", "0\n")
    (folders.labels / "pawsx" / "test-zh.tsv").unlink()
    (folders.predictions / "xnlli").mkdir()
    (folders.predictions / "xnli" / "log.txt").write_text("")
    (folders.predictions / ".cache").mkdir()
    scores = folders.score()
    assert scores.to_json()["groups"] == {"classification": 50.0}
    assert scores.tasks["pawsx"].missing == ("en", "zh")
    assert scores.notes == (
        "ignored xnlli, not a task (did you mean xnli?)",
        "xnli: ignored log.txt, not named test-{language}.tsv",
        "xnli: average over 1 of 3 languages only; no predictions for en, zh",
        f"pawsx: not scored, {folders.labels / 'pawsx'} lacks 1 file, test-zh.tsv",
        "pawsx: average over 1 of 3 languages only; no predictions for en",
    )


@pytest.mark.parametrize("task", ["xquad", "mlqa", "tydiqa"])
def test_a_missing_answer_counts_0_with_partial_and_is_said(folders: Folders, task: str) -> None:
    # "the" is nothing once it is normalised, yet no answer is no right one.
    gold = squad({"a": ["Nile"], "b": ["the river Nile"], "c": ["the"]})
    folders.put(task, "en", json.dumps({"a": "Nile"}), gold)
    assert folders.fault().what == "missing id"
    scores = folders.score(partial=True)
    found = scores.to_json()["tasks"][task]
    third = pytest.approx(100 / 3)
    assert found["languages"]["en"] == {"exact_match": third, "f1": third}
    assert found["unanswered"] == {"en": 2}
    assert f"{task}, en: 2 of 3 questions have no answer and count 0" in scores.notes


def test_with_partial_what_is_whole_scores_the_same(perfect: Folders) -> None:
    assert perfect.score(partial=True) == perfect.score()


@pytest.mark.parametrize(
    ("task", "predicted", "gold", "what"),
    [
        ("xnli", "neutral\n", "neutral\nneutral\n", "length mismatch"),
        ("tatoeba", "0\n", "0\n1\n", "length mismatch"),
        ("udpos", "NOUN\n", "NOUN\nVERB\n", "length mismatch"),
        ("xquad", '{"q": "a", "z": "b"}', squad({"q": ["a"]}), "unknown id"),
    ],
)
def test_partial_is_about_missing_answers_only(
    folders: Folders, task: str, predicted: str, gold: str, what: str
) -> None:
    folders.put(task, "de", predicted, gold)
    assert folders.fault(partial=True).what.startswith(what)


def test_an_average_without_a_language_is_marked_partial_and_so_is_what_rests_on_it(
    perfect: Folders,
) -> None:
    perfect.prediction("mlqa").unlink()
    scores = perfect.score(partial=True)
    assert scores.partial == {"mlqa", "qa", "overall"}
    assert scores.to_json()["tasks"]["mlqa"]["missing"] == ["de"]
    marked = {row.task for row in scores.rows() if row.partial}
    assert marked == scores.partial
    assert not any(row.partial for row in scores.rows() if row.language is not None)


def test_the_signature_says_what_was_scored(folders: Folders) -> None:
    folders.put("mlqa", "zh", '{"q": "a"}', squad({"q": ["a"]}))
    folders.put("mlqa", "de", '{"q": "a"}', squad({"q": ["a"]}))
    text = folders.score().tasks["mlqa"].signature.short()
    assert text.startswith("mlqa|split:test|lang:de+zh|metric:mlqa-em-f1|mv:xtreme-838c13b|")


def test_missing_folder(folders: Folders, tmp_path: Path) -> None:
    with pytest.raises(MissingDataError) as caught:
        folders.score()
    assert caught.value.where == str(folders.predictions)


def test_nothing_to_score(folders: Folders) -> None:
    folders.put("xnli", "de", "neutral\n", "neutral\n")
    shutil.rmtree(folders.labels / "xnli")
    fault = folders.fault()
    assert fault.what == "nothing to score"
    assert f"xnli: not scored, {folders.labels / 'xnli'} lacks 1 file, test-de.tsv" in str(fault)


def test_files_that_cannot_be_scored_are_named_by_kind_and_counted(folders: Folders) -> None:
    """Labels of another data set: every file is wrong, and a line says so for each kind."""
    for language in ("de", "en", "zh"):
        folders.put("pawsx", language, "0\n1\n", "0\n")
        folders.put("xnli", language, "neutral\n", "neutral\nneutral\n")
    folders.put("mlqa", "de", '{"z": "b"}', squad({"q": ["a"]}))
    fault = folders.fault()
    assert fault.what == "7 files cannot be scored; the first is: length mismatch"
    lines = (fault.got or "").splitlines()
    assert len(lines) == 3
    assert lines[1].startswith(f"length mismatch: 6 files, {folders.predictions}/xnli/test-de.tsv:")
    assert lines[1].endswith(" and 3 more")
    assert lines[2].startswith("missing id: 1 file, ") or lines[2].startswith(
        "unknown id: 1 file, "
    )


def test_unknown_language(folders: Folders) -> None:
    folders.put("xnli", "fr", "neutral\n", "neutral\n")
    fault = folders.fault()
    assert (fault.what, fault.got, fault.expected) == (
        "unknown language",
        "fr",
        "one of de, en, zh",
    )
    assert fault.where == f"{folders.prediction('xnli', 'fr')}:1"


def test_wrong_suffix(folders: Folders) -> None:
    folders.put("xnli", "de", "neutral\n", "neutral\n")
    folders.prediction("xnli").rename(folders.prediction("xnli").with_suffix(".json"))
    assert folders.fault().what == "wrong kind of file"


@pytest.mark.parametrize(
    ("task", "predicted", "gold", "what", "line"),
    [
        ("xnli", "neutral\n", "neutral\nneutral\n", "length mismatch", 2),
        ("xnli", "neutral\nneutral\n", "neutral\n", "length mismatch", 2),
        ("xnli", "neutral\nyes\n", "neutral\nneutral\n", "label outside its set", 2),
        ("xnli", "", "neutral\n", "empty file", 1),
        ("tatoeba", "0\n", "0\n1\n", "length mismatch", 2),
        ("tatoeba", "0\n2\n", "0\n1\n", "label outside its set", 2),
        ("udpos", "NOUN\n", "NOUN\nVERB\n", "length mismatch", 2),
        ("udpos", "NOUN\nVERB\n\nNOUN\n", "NOUN\nVERB\n", "length mismatch", 3),
        ("udpos", "NOUN\n\nVERB\nNOUN\n", "NOUN\nVERB\n\nNOUN\n", "length mismatch", 2),
        ("udpos", "NOUN\nVERB\nNOUN\n", "NOUN\n\nNOUN\n", "length mismatch", 2),
        ("bucc2018", "de-1\ten-1\nfr-1\ten-1\n", "de-1\ten-1\n", "not a pair", 2),
        ("bucc2018", "en-1\tde-1\n", "de-1\ten-1\n", "not a pair", 1),
        ("bucc2018", "\n", "de-1\ten-1\n", "empty file", 1),
        ("xquad", '{"q":\n"a",\n"r": "b"}', squad({"q": ["a"]}), "unknown id", 3),
        ("xquad", '{"q": "a"}', squad({"q": ["a"], "r": ["b"]}), "missing id", 1),
    ],
)
def test_files_that_do_not_fit_are_refused_with_the_line(
    folders: Folders, task: str, predicted: str, gold: str, what: str, line: int
) -> None:
    folders.put(task, "de", predicted, gold)
    fault = folders.fault()
    assert fault.what.startswith(what)
    assert fault.where == f"{folders.prediction(task)}:{line}"


@pytest.mark.parametrize(
    ("task", "gold"), [("xnli", "maybe\n"), ("udpos", "NOUNS\n"), ("bucc2018", "de-1\n")]
)
def test_faults_of_label_files_name_the_label_file(folders: Folders, task: str, gold: str) -> None:
    predicted = {"xnli": "neutral\n", "udpos": "NOUN\n", "bucc2018": "de-1\ten-1\n"}[task]
    folders.put(task, "de", predicted, gold)
    assert folders.fault().where == f"{folders.labels / task / 'test-de.tsv'}:1"


def test_excerpts_of_tatoeba_may_point_beyond_their_length(folders: Folders) -> None:
    folders.put("tatoeba", "de", "367\n900\n", "367\n258\n")
    assert folders.score().tasks["tatoeba"].score.value == 50.0


def test_pairs_listed_twice_count_once(folders: Folders) -> None:
    folders.put("bucc2018", "de", "de-1\ten-1\nde-1\ten-1\nde-2\ten-1\n", "de-1\ten-1\n")
    assert folders.score().tasks["bucc2018"].metrics["precision"].value == 50.0


def test_no_pair_at_all_is_a_prediction(folders: Folders) -> None:
    folders.put("bucc2018", "de", "", "de-1\ten-1\n")
    assert folders.score().tasks["bucc2018"].score.value == 0.0


def test_blinded_labels_are_refused(folders: Folders) -> None:
    folders.put("xnli", "de", "neutral\n" * 20, "neutral\n" * 20)
    assert folders.score().tasks["xnli"].score.value == 100.0
    folders.put("xnli", "de", "neutral\n" * 21, "neutral\n" * 21)
    assert folders.fault().what.startswith("blinded labels")
