"""Both worlds: the eighteen tasks and the studies', their splits, languages and parts."""

from __future__ import annotations

import subprocess
import sys
from itertools import product

import pytest

from stilts_artifact.benchmark import INTERMEDIATE, TARGETS, TASKS, load_benchmark
from stilts_artifact.benchmark.asked import wanted_cells
from stilts_artifact.benchmark.assemble import mini_benchmark, source_names
from stilts_artifact.benchmark.experiments import (
    EXPERIMENTS,
    counted_tasks,
    headings,
    selection_task,
    study_tasks,
    training_task,
)
from stilts_artifact.benchmark.languages import MINI, XTREME
from stilts_artifact.benchmark.pins import Pin
from stilts_artifact.benchmark.texts import WIKIPEDIA
from stilts_artifact.domain.tasks import Benchmark, Part, Role, Split, Task, TaskForm
from stilts_artifact.errors import ConfigError

READERS = {
    "xnli",
    "mnli",
    "snli",
    "anli",
    "qqp",
    "pawsx",
    "hellaswag",
    "cosmosqa",
    "commonsenseqa",
    "squad",
    "tydiqa",
    "conllu",
    "panx",
    "ccg",
    "bucc_text",
    "bucc_gold",
    "lines",
    "document_ids",
    "ntrex",
}
TRAIN_DEV, ALL, TRAIN_TEST = {Split.TRAIN, Split.DEV}, set(Split), {Split.TRAIN, Split.TEST}
MORPHOLOGY = ("ud_feats", "ud_upos", "ud_shuffled")
SPLITS = {
    **dict.fromkeys((*INTERMEDIATE, *MORPHOLOGY), TRAIN_DEV),
    **dict.fromkeys(("xnli", "pawsx", "udpos", "panx", "mlqa", "udpos_xr", "panx_xr"), ALL),
    **dict.fromkeys(("xquad", "tydiqa"), TRAIN_TEST),
    "bucc2018": {Split.DEV, Split.TEST},
    "tatoeba": {Split.TEST},
    "ntrex": {Split.TEST},
}
# XTREME evaluate.py:141-154 at 838c13b.
LANGUAGES = {
    "xnli": 15,
    "pawsx": 7,
    "udpos": 33,
    "panx": 40,
    "xquad": 11,
    "mlqa": 7,
    "tydiqa": 9,
    "bucc2018": 4,
    "tatoeba": 36,
    "ntrex": 38,
}


def invented_mini() -> Benchmark:
    """The mini world with pins that no file has: what it is made of does not depend on them."""
    return mini_benchmark({name: Pin(1, 64 * "0") for name in source_names(MINI)})


BENCHMARKS = {"xtreme": load_benchmark("xtreme"), "mini": invented_mini()}
EACH_TASK = [
    pytest.param(a_world, task, id=f"{name}-{task.name}")
    for name, a_world in BENCHMARKS.items()
    for task in a_world.tasks.values()
]


@pytest.mark.parametrize("a_world", BENCHMARKS.values(), ids=BENCHMARKS)
def test_tasks_stand_in_the_order_of_the_table(a_world: Benchmark) -> None:
    assert [task.name for task in a_world.tasks.values()] == list(a_world.tasks)
    of_the_paper = [task for task in a_world.tasks.values() if not task.study]
    assert tuple(task.name for task in of_the_paper) == TASKS == (*INTERMEDIATE, *TARGETS)
    assert len(TASKS) == 18
    for task in of_the_paper:
        assert task.role is (Role.INTERMEDIATE if task.name in INTERMEDIATE else Role.TARGET)


@pytest.mark.parametrize("a_world", BENCHMARKS.values(), ids=BENCHMARKS)
def test_studies_train_on_the_treebanks_that_pos_is_trained_on(a_world: Benchmark) -> None:
    """Same files, epochs, batch and length: what differs between the arms is what a tag says."""
    udpos = a_world.tasks["udpos"]
    for name in MORPHOLOGY:
        task = a_world.tasks[name]
        assert (task.role, task.form, task.study) == (Role.INTERMEDIATE, TaskForm.TAGGING, True)
        assert task.tuning == udpos.tuning and task.languages == (a_world.source_language,)
        for place, parts in task.parts.items():
            files = [(part.source, part.member) for part in parts]
            assert files == [(part.source, part.member) for part in udpos.parts[place]]
    assert a_world.tasks["ud_upos"].parts.items() <= udpos.parts.items()
    assert a_world.tasks["ud_feats"].parts == a_world.tasks["ud_shuffled"].parts
    assert [name for name, task in a_world.tasks.items() if task.permuted] == ["ud_shuffled"]


def test_no_table_of_the_paper_has_a_task_of_a_study() -> None:
    for a_world in BENCHMARKS.values():
        studied = {name for name, task in a_world.tasks.items() if task.study}
        assert studied >= set(MORPHOLOGY)
        for experiment in (EXPERIMENTS["table1"], EXPERIMENTS["table2"], EXPERIMENTS["table3"]):
            assert not studied.intersection(headings(experiment, a_world))
            assert not studied.intersection(task.name for task in experiment.targets(a_world))
            assert study_tasks(experiment, a_world) == ()
            for row in experiment.rows(a_world):
                assert not studied.intersection(row.tasks)


@pytest.mark.parametrize(("a_world", "task"), EACH_TASK)
def test_every_split_that_a_task_should_have(a_world: Benchmark, task: Task) -> None:
    assert {split for split, _ in task.parts} == SPLITS[task.name]
    if task.role is Role.INTERMEDIATE or Split.TRAIN in SPLITS[task.name]:
        assert (Split.TRAIN, a_world.source_language) in task.parts
    if task.role is Role.TARGET:
        assert task.languages_of(Split.TRAIN) in ((), (a_world.source_language,)), (
            "training is in the source language only: zero-shot"
        )
        assert set(task.languages_of(Split.TEST)) == set(task.languages)
    if Split.DEV in SPLITS[task.name] and task.name != "udpos":
        expected = (a_world.source_language,) if task.role is Role.INTERMEDIATE else task.languages
        assert task.languages_of(Split.DEV) == expected


@pytest.mark.parametrize(("a_world", "task"), EACH_TASK)
def test_every_part_names_a_source_and_a_reader(a_world: Benchmark, task: Task) -> None:
    for (split, language), parts in task.parts.items():
        assert language in (
            (*task.languages, a_world.source_language) if split is Split.TRAIN else task.languages
        )
        assert language in a_world.languages
        assert parts
        for part in parts:
            assert part.source in a_world.sources
            assert part.reader in READERS
            assert (part.member is None) == (
                not part.source.endswith((".zip", ".tgz", ".tar.gz", ".tar.bz2"))
            )


@pytest.mark.parametrize("a_world", BENCHMARKS.values(), ids=BENCHMARKS)
def test_no_source_is_left_over(a_world: Benchmark) -> None:
    used = {
        part.source
        for task in a_world.tasks.values()
        for parts in task.parts.values()
        for part in parts
    }
    wikipedia = a_world.texts[WIKIPEDIA].parts
    assert used | {part.source for (part,) in wikipedia.values()} == set(a_world.sources)
    further = XTREME.further if a_world.name == "xtreme" else {}
    assert set(wikipedia) == set(a_world.languages) - set(further)
    assert {language for task in a_world.tasks.values() for language in task.languages} == set(
        a_world.languages
    )


@pytest.mark.parametrize("task", LANGUAGES)
def test_the_languages_are_those_of_xtreme(task: str) -> None:
    languages = load_benchmark("xtreme").tasks[task].languages
    assert len(set(languages)) == len(languages) == LANGUAGES[task]
    assert list(languages) == sorted(languages)
    assert ("en" in languages) == (task not in {"bucc2018", "tatoeba", "ntrex"})


def test_four_languages_have_treebanks_without_a_dev_split() -> None:
    udpos = load_benchmark("xtreme").tasks["udpos"]
    assert len(udpos.languages_of(Split.DEV)) == 29
    assert set(udpos.languages) - set(udpos.languages_of(Split.DEV)) == {"kk", "th", "tl", "yo"}


def test_the_mini_world_has_the_same_shape() -> None:
    xtreme, mini = BENCHMARKS["xtreme"], BENCHMARKS["mini"]
    for name, split in product(TASKS, Split):
        real, made = xtreme.tasks[name], mini.tasks[name]
        assert (real.title, real.form, real.metrics, real.labels) == (
            made.title,
            made.form,
            made.metrics,
            made.labels,
        )
        shapes = {shape(parts) for (its, _), parts in real.parts.items() if its is split}
        # Translated training data are one file, like the original they stand for.
        assert {shape(parts) for (its, _), parts in made.parts.items() if its is split} == shapes
        assert len(shapes) <= 1


def shape(parts: tuple[Part, ...]) -> tuple[object, ...]:
    """What remains of parts when the names of languages are taken away."""
    return tuple(
        (part.reader, part.member is None, tuple(key for key, _ in part.options)) for part in parts
    )


def test_languages_of_the_mini_world() -> None:
    tasks = BENCHMARKS["mini"].tasks
    everything = {"qen", "qaa", "qab", "qac", "qad", "qae", "qaf", "qag"}
    assert set(BENCHMARKS["mini"].languages) == everything
    for name in ("xnli", "pawsx", "udpos", "panx", "xquad", "mlqa", "tydiqa"):
        assert set(tasks[name].languages) == everything
    assert set(tasks["tatoeba"].languages) == everything - {"qen"}
    assert set(tasks["bucc2018"].languages) == {"qaa", "qac", "qae", "qag"}
    assert everything - set(tasks["udpos"].languages_of(Split.DEV)) == {"qag"}


def test_translated_training_data_are_in_the_mini_world_only() -> None:
    for name in INTERMEDIATE:
        translated = ("qab", "qad", "qaf") if name in {"mnli", "qqp", "hellaswag"} else ()
        assert BENCHMARKS["xtreme"].tasks[name].languages == ("en",)
        assert BENCHMARKS["mini"].tasks[name].languages == ("qen", *translated)
        for language in translated:
            (part,) = BENCHMARKS["mini"].tasks[name].parts[Split.TRAIN, language]
            assert language in part.source


@pytest.mark.parametrize(
    ("task", "split", "language", "parts"),
    [
        ("mnli", "dev", "en", [("MNLI.zip", "MNLI/dev_matched.tsv", ())]),
        ("xnli", "train", "en", [("MNLI.zip", "MNLI/train.tsv", ())]),
        ("xnli", "test", "sw", [("XNLI-1.0.zip", "XNLI-1.0/xnli.test.tsv", (("language", "sw"),))]),
        ("pawsx", "dev", "ko", [("x-final.tar.gz", "x-final/ko/dev_2k.tsv", ())]),
        (
            "udpos_xr",
            "test",
            "uk",
            [
                (
                    "ud-treebanks-v2.7.tgz",
                    "ud-treebanks-v2.7/*/uk_*-ud-test.conllu",
                    (("language", "uk"),),
                )
            ],
        ),
        ("panx_xr", "test", "qu", [("panx_dataset.zip", "qu.tar.gz!test", ())]),
        (
            "udpos",
            "test",
            "fr",
            [
                (
                    "ud-treebanks-v2.5.tgz",
                    "ud-treebanks-v2.5/*/fr_*-ud-test.conllu",
                    (("language", "fr"),),
                )
            ],
        ),
        ("panx", "dev", "my", [("panx_dataset.zip", "my.tar.gz!dev", ())]),
        ("squad_v2", "dev", "en", [("squad/dev-v2.0.json", None, (("version", "2.0"),))]),
        ("xquad", "train", "en", [("squad/train-v1.1.json", None, (("version", "1.1"),))]),
        (
            "mlqa",
            "test",
            "zh",
            [
                (
                    "MLQA_V1.zip",
                    "MLQA_V1/test/test-context-zh-question-zh.json",
                    (("version", "1.1"),),
                )
            ],
        ),
        (
            "tydiqa",
            "train",
            "en",
            [("tydiqa-goldp-v1.1-train.json", None, (("language", "english"),))],
        ),
        ("tydiqa", "test", "te", [("tydiqa-goldp-v1.1-dev.json", None, (("language", "telugu"),))]),
        (
            "tatoeba",
            "test",
            "fa",
            [("tatoeba.pes-eng.pes", None, ()), ("tatoeba.pes-eng.eng", None, ())],
        ),
        (
            "bucc2018",
            "dev",
            "de",
            [
                ("bucc2018-de-en.sample-gold.tar.bz2", f"bucc2018/de-en/de-en.sample.{end}", ())
                for end in ("de", "en", "gold")
            ],
        ),
    ],
)
def test_where_a_split_is_read(task: str, split: Split, language: str, parts: list[object]) -> None:
    read = BENCHMARKS["xtreme"].tasks[task].parts[Split(split), language]
    assert [(part.source, part.member, part.options) for part in read] == parts


def test_the_further_languages_are_xtreme_rs_and_their_models_are_those_of_pos_and_ner() -> None:
    """Lists: scripts/download_data.sh at 838c13b."""
    xtreme = BENCHMARKS["xtreme"]
    for name, trained, further, count in (
        ("udpos_xr", "udpos", "lt pl uk wo ro", 38),
        ("panx_xr", "panx", "qu pl uk az lt pa gu ro", 48),
    ):
        task, own = xtreme.tasks[name], xtreme.tasks[trained]
        assert task.languages == tuple(sorted(further.split()))
        assert len({*task.languages, *own.languages}) == len(task.languages) + len(own.languages)
        assert len(task.languages) + len(own.languages) == count
        assert (task.labels, task.metrics, task.tuning) == (own.labels, own.metrics, own.tuning)
        assert training_task(task, xtreme) == selection_task(task, xtreme) == trained
        assert task.languages_of(Split.DEV) == task.languages
    assert {*xtreme.tasks["udpos_xr"].languages, *xtreme.tasks["panx_xr"].languages} == set(
        XTREME.further
    )
    assert not {"udpos_xr", "panx_xr"} & set(BENCHMARKS["mini"].tasks)


def test_a_further_language_is_asked_for_of_its_study_alone() -> None:
    wolof = load_benchmark("xtreme", ("wo", "qu"))
    found = wanted_cells(wolof, EXPERIMENTS["study-001"], ["none"])
    assert [(task.name, task.languages) for _, task in found] == [
        ("udpos_xr", ("wo",)),
        ("panx_xr", ("qu",)),
    ]
    with pytest.raises(ConfigError, match="Table 2 has no column in any language") as caught:
        wanted_cells(wolof, EXPERIMENTS["table2"], [])
    assert caught.value.where == "--languages"


def test_table_1_counts_the_tasks_that_are_in_a_language_asked_for() -> None:
    counted = {task.name for task in counted_tasks(load_benchmark("xtreme", ("sw",)))}
    assert set(TASKS) - counted == {"pawsx", "udpos", "xquad", "mlqa", "bucc2018"}


def test_no_text_is_modelled_in_a_further_language() -> None:
    for name, text in BENCHMARKS["xtreme"].texts.items():
        assert not set(XTREME.further) & set(text.parts), name


def test_ntrex_is_in_the_languages_of_xtreme_but_javanese() -> None:
    xtreme = BENCHMARKS["xtreme"]
    ntrex = xtreme.tasks["ntrex"]
    assert set(XTREME.names) - set(ntrex.languages) == {"en", "jv"}
    for language in ntrex.languages:
        files = [part.source for part in ntrex.parts[Split.TEST, language]]
        assert files[1:] == ["ntrex/newstest2019-src.eng.txt", "ntrex/DOCUMENT_IDS.tsv"]
    own = {language: ntrex.parts[Split.TEST, language][0].source for language in ntrex.languages}
    assert own["zh"] == "ntrex/newstest2019-ref.zho-CN.txt"
    assert own["tl"] == "ntrex/newstest2019-ref.fil.txt"
    assert len(set(own.values())) == 38


def test_anli_plus_is_three_rounds_with_mnli_and_snli() -> None:
    for split, mnli in ((Split.TRAIN, "train"), (Split.DEV, "dev_matched")):
        members = [
            part.member for part in BENCHMARKS["xtreme"].tasks["anli_plus"].parts[split, "en"]
        ]
        rounds = [f"anli_v0.1/R{number}/{split}.jsonl" for number in (1, 2, 3)]
        assert members == [*rounds, f"MNLI/{mnli}.tsv", f"snli_1.0/snli_1.0_{split}.jsonl"]


def test_ccg_takes_jiants_sections() -> None:
    ccg = BENCHMARKS["xtreme"].tasks["ccg"].parts
    sections = {
        split: [(part.member or "").split("/")[3] for part in ccg[split, "en"]]
        for split in TRAIN_DEV
    }
    assert sections[Split.TRAIN] == [f"{number:02}" for number in range(19)]
    assert sections[Split.DEV] == ["19", "20", "21"]


def test_closed_label_sets() -> None:
    tasks = BENCHMARKS["xtreme"].tasks
    sizes = {name: len(task.labels) for name, task in tasks.items() if task.labels}
    assert sizes == {
        "anli_plus": 3,
        "mnli": 3,
        "qqp": 2,
        "xnli": 3,
        "pawsx": 2,
        "udpos": 17,
        "ud_upos": 17,
        "panx": 7,
        "udpos_xr": 17,
        "panx_xr": 7,
    }
    assert all(
        task.form in {TaskForm.PAIR, TaskForm.TAGGING} for task in tasks.values() if task.labels
    )


def test_a_licence_covers_the_training_data_too() -> None:
    tasks = BENCHMARKS["xtreme"].tasks
    assert tasks["xnli"].licence == f"{tasks['mnli'].licence}; CC BY-NC 4.0"
    assert all(task.licence for task in tasks.values())
    assert {task.licence for task in BENCHMARKS["mini"].tasks.values()} == {"CC0-1.0"}


def test_unknown_world_is_a_usage_error_with_a_suggestion() -> None:
    with pytest.raises(ConfigError) as caught:
        load_benchmark("xtrem")  # type: ignore[arg-type]
    assert "did you mean 'xtreme'" in caught.value.what
    assert caught.value.exit_code == 2


def test_a_world_is_built_once() -> None:
    assert load_benchmark("xtreme") is load_benchmark("xtreme")


def test_importing_the_benchmark_reads_and_imports_little() -> None:
    script = (
        "import sys, stilts_artifact.benchmark as b;b.load_benchmark('xtreme'); print(*sys.modules)"
    )
    loaded = set(
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout.split()
    )
    assert not loaded & {
        "torch",
        "transformers",
        "rich",
        "requests",
        "pydantic",
        "yaml",
        "docker",
        "numpy",
    }
