"""Files named after what they replace: which there are, what reads them, what is refused."""

from __future__ import annotations

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import row_named, selection_task, training_task
from stilts_artifact.benchmark.own_data import TEXT, known_names
from stilts_artifact.benchmark.texts import WIKIPEDIA
from stilts_artifact.data.readers import READERS
from stilts_artifact.domain.tasks import Benchmark, Part, Split
from stilts_artifact.errors import ConfigError
from stilts_artifact.forms.provenance import training_parts

XTREME, MINI = load_benchmark("xtreme"), load_benchmark("mini")
NLI = (("labels", "contradiction entailment neutral"),)
TAGS = (("labels", "B-LOC B-ORG B-PER I-LOC I-ORG I-PER O"),)


def own(*names: str) -> Benchmark:
    return load_benchmark("xtreme", None, names)


@pytest.mark.parametrize(
    ("names", "task", "split", "language", "parts"),
    [
        (["mnli.train-en.tsv"], "mnli", "train", "en", [("pair_rows", NLI)]),
        (["xnli.test-de.tsv"], "xnli", "test", "de", [("pair_rows", NLI)]),
        (["pawsx.dev-ko.tsv"], "pawsx", "dev", "ko", [("pair_rows", (("labels", "0 1"),))]),
        (["hellaswag.train-en.tsv"], "hellaswag", "train", "en", [("choice_rows", ())]),
        (["udpos.test-fi.conllu"], "udpos", "test", "fi", [("conllu", (("language", "fi"),))]),
        (["panx.test-sw.tsv"], "panx", "test", "sw", [("tagged_words", TAGS)]),
        (["ccg.train-en.tsv"], "ccg", "train", "en", [("tagged_words", (("labels", ""),))]),
        (["xquad.test-de.json"], "xquad", "test", "de", [("squad", (("version", "1.1"),))]),
        (["tydiqa.train-en.json"], "tydiqa", "train", "en", [("squad", (("version", "1.1"),))]),
        (["squad_v2.dev-en.json"], "squad_v2", "dev", "en", [("squad", (("version", "2.0"),))]),
        (
            ["tatoeba.test-de.tsv"],
            "tatoeba",
            "test",
            "de",
            [("parallel", (("side", "source"),)), ("parallel", (("side", "target"),))],
        ),
        (
            ["bucc2018.dev-de.src.txt", "bucc2018.dev-de.trg.txt", "bucc2018.dev-de.gold.tsv"],
            "bucc2018",
            "dev",
            "de",
            [
                ("lines", (("language", "de"),)),
                ("lines", (("language", "en"),)),
                ("gold_lines", (("source", "de"), ("target", "en"))),
            ],
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_a_file_stands_where_its_name_says(
    names: list[str], task: str, split: str, language: str, parts: list[object]
) -> None:
    benchmark = own(*names)
    found = benchmark.tasks[task].parts[Split(split), language]
    assert [(part.reader, part.options) for part in found] == parts
    assert [part.member for part in found] == [None] * len(found)
    assert {part.source for part in found} == set(names)
    others = {name: other for name, other in benchmark.tasks.items() if name != task}
    changed = [name for name, other in others.items() if other.parts != XTREME.tasks[name].parts]
    assert changed == (["xnli"] if names == ["mnli.train-en.tsv"] else [])


def test_every_name_is_read_by_a_reader_that_there_is() -> None:
    for benchmark in (XTREME, MINI):
        known = known_names(benchmark)
        assert {part.reader for _, parts in known.values() for part in parts} <= READERS.keys()
        tasks = {name: task for name, task in benchmark.tasks.items() if not task.study}
        assert {place.task for place, _ in known.values()} == {*tasks, TEXT}
        places = {(place.task, place.split, place.language) for place, _ in known.values()}
        for task in tasks.values():
            lacking = {place for place in task.parts if (task.name, *place) not in places}
            shared = {"xnli", "xquad", "mlqa"}
            assert lacking == (
                {("train", benchmark.source_language)} & task.parts.keys()
                if task.name in shared
                else set()
            )


def test_targets_that_train_on_an_intermediate_task_follow_its_own_data() -> None:
    """One name for one file: XNLI's training data are MNLI's, XQuAD's and MLQA's are SQuAD's."""
    benchmark = own("mnli.train-en.tsv", "squad_v1.train-en.json")
    place = (Split.TRAIN, "en")
    parts = {name: task.parts.get(place) for name, task in benchmark.tasks.items()}
    assert parts["xnli"] == parts["mnli"] != XTREME.tasks["mnli"].parts[place]
    assert parts["xquad"] == parts["mlqa"] == parts["squad_v1"]
    # Another task has MNLI in it, and other data beside: it keeps the publisher's.
    assert parts["anli_plus"] == XTREME.tasks["anli_plus"].parts[place]
    # So a model is shared as before, and chosen on the same development data if there are any.
    whole = own("mnli.train-en.tsv", "squad_v1.train-en.json", "squad_v1.dev-en.json")
    for name in ("xnli", "xquad", "mlqa"):
        for found in (training_task, selection_task):
            assert found(whole.tasks[name], whole) == found(XTREME.tasks[name], XTREME)
    assert selection_task(benchmark.tasks["xquad"], benchmark) == "mlqa"
    with pytest.raises(ConfigError, match=r"did you mean 'mnli\.train-en\.tsv'") as caught:
        own("xnli.train-en.tsv")
    assert caught.value.fix == "xnli is trained on the data of mnli: name it after that"


def test_own_training_data_of_an_intermediate_task_need_no_development_data() -> None:
    """Whoever brings a file of pairs may lack MNLI's archive; targets keep what they score."""
    alone = own("mnli.train-en.tsv", "pawsx.train-en.tsv")
    assert (Split.DEV, "en") not in alone.tasks["mnli"].parts
    assert alone.tasks["pawsx"].parts[Split.DEV, "en"] == XTREME.tasks["pawsx"].parts["dev", "en"]
    row, target = row_named(alone, "mnli"), alone.tasks["tatoeba"]
    assert [part.source for part in training_parts(row, target, alone)] == ["mnli.train-en.tsv"]
    both = own("mnli.train-en.tsv", "mnli.dev-en.tsv").tasks["mnli"]
    assert [part.source for part in both.parts[Split.DEV, "en"]] == ["mnli.dev-en.tsv"]
    other = load_benchmark("mini", None, ("mnli.train-qab.tsv",)).tasks["mnli"]
    assert other.parts[Split.DEV, "qen"] == MINI.tasks["mnli"].parts[Split.DEV, "qen"]


def test_a_language_without_a_split_can_be_given_one() -> None:
    assert (Split.DEV, "th") not in XTREME.tasks["udpos"].parts
    udpos = own("udpos.dev-th.conllu").tasks["udpos"]
    assert "th" in udpos.languages_of(Split.DEV)
    assert udpos.languages == XTREME.tasks["udpos"].languages


def test_running_text_is_replaced_a_language_at_a_time() -> None:
    benchmark = own("text.train-de.txt")
    text, before = (one.texts[WIKIPEDIA].parts for one in (benchmark, XTREME))
    assert text["de"] == (Part("text.train-de.txt", "lines"),)
    assert {**text, "de": ()} == {**before, "de": ()}
    row = row_named(benchmark, "mlm")
    parts = training_parts(row, benchmark.tasks["tatoeba"], benchmark)
    assert set(text["de"]) < set(parts)


def test_translated_training_data_of_the_mini_world_have_names_too() -> None:
    benchmark = load_benchmark("mini", None, ("mnli.train-qab.tsv",))
    found = benchmark.tasks["mnli"].parts[Split.TRAIN, "qab"]
    assert [part.source for part in found] == ["mnli.train-qab.tsv"]
    assert benchmark.tasks["xnli"] == MINI.tasks["xnli"]


def test_own_sources_have_no_pin_and_no_address() -> None:
    benchmark = own("mnli.train-en.tsv")
    source = benchmark.sources["mnli.train-en.tsv"]
    assert (source.sha256, source.bytes, source.urls) == (None, None, ())
    assert "recorded with the result" in source.pinned_by
    assert benchmark.tasks["xnli"].licence == "own data: not stated; CC BY-NC 4.0"
    assert {**benchmark.sources, source.name: 0} == {**XTREME.sources, source.name: 0}


def test_languages_restrict_own_data_as_all_others() -> None:
    benchmark = load_benchmark("xtreme", ("fi", "de"), ("xnli.test-de.tsv", "xnli.test-fr.tsv"))
    assert benchmark.tasks["xnli"].languages == ("de",)
    assert benchmark.tasks["xnli"].parts[Split.TEST, "de"][0].source == "xnli.test-de.tsv"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (["mnli.trian-en.tsv"], ["did you mean 'mnli.train-en.tsv'", "mnli.train-CODE.tsv"]),
        (["minli.train-en.tsv"], ["did you mean 'mnli.train-en.tsv'", "TASK: anli_plus, mnli"]),
        (["mnli.train-en.txt"], ["did you mean 'mnli.train-en.tsv'"]),
        (["mnli.train-de.tsv"], ["mnli.train-CODE.tsv (CODE: en)"]),
        (["xnli.test-fi.tsv"], ["xnli.test-CODE.tsv (CODE: ar, bg, de, el, en, es"]),
        (["tatoeba.train-de.tsv"], ["did you mean 'tatoeba.test-de.tsv'"]),
        (["xquad.dev-de.json"], ["xquad.test-CODE.json (CODE: ar, de"]),
        (["panx.test-sw.conllu"], ["panx.test-CODE.tsv"]),
        (["text.test-de.txt"], ["text.train-CODE.txt"]),
        (["../mnli.train-en.tsv"], ["unknown file of own data"]),
        (["MNLI.train-en.tsv"], ["did you mean 'mnli.train-en.tsv'"]),
        (
            ["udpos.test-fi.conllu", "udpos.test-fi.tsv"],
            ["two own files in one place", "udpos.test-fi.conllu, udpos.test-fi.tsv"],
        ),
        (
            ["bucc2018.dev-de.src.txt"],
            ["some files are missing", "no bucc2018.dev-de.gold.tsv, bucc2018.dev-de.trg.txt"],
        ),
    ],
    ids=lambda value: value[0],
)
def test_what_is_no_name_is_refused(names: list[str], parts: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        own(*names)
    for part in parts:
        assert part in str(caught.value)


def test_two_targets_may_both_get_a_split_that_only_one_of_them_has() -> None:
    """POS has no development data of Thai upstream, XNLI has."""
    assert (Split.DEV, "th") not in XTREME.tasks["udpos"].parts
    found = own("udpos.dev-th.tsv", "xnli.dev-th.tsv").tasks
    for name in ("udpos", "xnli"):
        assert [part.source for part in found[name].parts[Split.DEV, "th"]] == [
            f"{name}.dev-th.tsv"
        ]
