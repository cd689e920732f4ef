"""What each experiment is, as one literal row: rows, columns, split, titles, how it is asked for.

An experiment is named by text everywhere: in options, results files, expected values and crates.
How its steps become cells is one file in :mod:`stilts_artifact.experiments`. The layout of Tables 2
and 3 was not verified against the paper's PDF; it is data, here and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import Literal

from stilts_artifact.benchmark.tasks import ROWS, groups
from stilts_artifact.benchmark.texts import TARGETS, TARGETS_ENGLISH, TREEBANKS, WIKIPEDIA
from stilts_artifact.domain.tasks import Benchmark, Role, Split, Task, TaskForm
from stilts_artifact.errors import unknown_name

Group = Literal[
    "English",
    "English + MLM",
    "translated",
    "annotated English",
    "continued pre-training",
    "smaller encoder",
]
Size = Literal["own", "smaller"]
"""Which encoder of phase (i) a row starts from: the scale's own, or its smaller one."""

NONE = "none"
"""The row without an intermediate task: XLM-R as it is."""
MULTI = "multi"
MLM = "mlm"
BEST = "best"
"""Table 3's second row: for each target the row of Table 2 that is best on development data."""

AVERAGE = "average"
"""Table 2's last column: the mean over the nine targets."""
OVERALL = "overall"
"""Table 3's last column, XTREME's name for the same mean, on test data."""

GROUPS = groups(ROWS)
"""XTREME's groups of target tasks (evaluate.py:288-319 of google-research/xtreme at 838c13b)."""
EVERY_GROUP = tuple(GROUPS)

CALIBRATION = "reproduce --calibration"
"""Asks for published scores of the encoder; the scale says which (``Scale.calibration``)."""


@dataclass(frozen=True, slots=True)
class Row:
    """One encoder of phase (ii), and how targets are trained from it.

    Args:
        name: unique in its experiment; ``mnli``, ``mnli+mlm``, ``mnli@de``.
        title: as printed.
        group: block of the table.
        tasks: intermediate tasks trained on together; none for XLM-R itself and for MLM alone.
        language: of the training data: the source language, or one it was translated into.
        text: collection of running text (:attr:`Benchmark.texts`) on which masked language
            modelling goes on beside them; ``None`` without it.
        matched: intermediate task whose optimiser steps and tokens a row of text alone takes, in
            place of the scale's own epochs of text.
        target_epochs: targets are trained for so many times their epochs.
        encoder: that phase (i) hands over.
    """

    name: str
    title: str
    group: Group
    tasks: tuple[str, ...]
    language: str
    text: str | None = None
    matched: str | None = None
    target_epochs: int = 1
    encoder: Size = "own"

    @property
    def mlm(self) -> bool:
        """Whether masked language modelling goes on."""
        return self.text is not None

    @property
    def is_trained(self) -> bool:
        """Whether phase (ii) trains anything: else the row has the encoder of phase (i)."""
        return bool(self.tasks) or self.mlm


@dataclass(frozen=True, slots=True, eq=False)
class Experiment:
    """One experiment as literal data.

    Args:
        name: of its results files, folders and expected values, such as ``table2``.
        title: how messages call it.
        caption: what it measures, in words.
        command: what of the command line asks for it, such as ``reproduce --table 2``.
        split: that targets are scored on: ``DEV`` means development data, or public test data where
            a task has no development data; ``TEST`` test data; ``None``: nothing is scored, the
            cells are counts, and the rows are the tasks themselves.
        rows: of the benchmark: the encoders that are evaluated.
        columns: names of the target tasks that are its columns; ``None`` for all.
        averages: further columns, each the mean over all targets of some groups.
        measured_by: ``module:function`` that measures it; imported only where it is run.
        selected_by: the experiment on whose scores each target's best row is chosen; that row then
            stands as :data:`BEST` beside :data:`NONE`.
        seeds: where they are not the scale's.
        retrieval: settings of retrieval that are not the scale's.
        whole: whether targets are trained and scored on all data, whatever the scale's caps: what
            is published of them is of all.
        probabilities: whether of classified pairs the probability of every label is published, too,
            and of English development data beside what is scored; predictions then follow from it.
        decides_claims: whether claims of the paper are about its cells.
        study: number of the study that it is; its seeds are then those that are planned, of which
            a scale or a person may ask for fewer.
    """

    name: str
    title: str
    caption: str
    command: str
    split: Split | None
    rows: Callable[[Benchmark], tuple[Row, ...]]
    measured_by: str
    columns: tuple[str, ...] | None = None
    averages: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    selected_by: str | None = None
    seeds: tuple[int, ...] | None = None
    retrieval: Mapping[str, str | int] = field(default_factory=dict)
    whole: bool = False
    probabilities: bool = False
    decides_claims: bool = False
    study: str | None = None

    @property
    def is_counted(self) -> bool:
        """Whether its cells are numbers of examples, and nothing is trained or predicted."""
        return self.split is None

    def targets(self, benchmark: Benchmark) -> tuple[Task, ...]:
        """The target tasks that are its columns, in order; by default those of the paper.

        Without those of which no language is evaluated: see
        :func:`stilts_artifact.benchmark.assemble.restricted`.
        """
        return tuple(
            task
            for task in targets(benchmark)
            if (not task.study if self.columns is None else task.name in self.columns)
            and (self.split is None or task.languages_of(self.scored_split(task)))
        )

    def gives_probabilities(self, task: Task) -> bool:
        """Whether the probability of every label of a target is published."""
        return self.probabilities and task.form is TaskForm.PAIR

    def development(self, task: Task) -> tuple[str, ...]:
        """Languages of which development data are predicted beside what is scored.

        The source language, where probabilities are published: their temperature is fitted on it.
        """
        own = (Split.DEV, task.source_language)
        fitted = self.gives_probabilities(task) and self.split is not Split.DEV
        return (task.source_language,) if fitted and own in task.parts else ()

    def scored_split(self, task: Task) -> Split:
        """The split that a target is scored on.

        Raises:
            ValueError: nothing is scored in this experiment.
        """
        if self.split is None:
            raise ValueError(f"{self.title} scores nothing")
        has_development = any(split is Split.DEV for split, _ in task.parts)
        return self.split if has_development else Split.TEST


def rows(benchmark: Benchmark) -> tuple[Row, ...]:
    """The rows of Table 2, in order: plain, with MLM, translated.

    Example:
        >>> from stilts_artifact.benchmark import load_benchmark
        >>> [row.name for row in rows(load_benchmark("mini"))][::7]
        ['none', 'ccg', 'qqp+mlm', 'multi+mlm', 'hellaswag@qab']
    """
    source_language = benchmark.source_language
    singles = [
        task
        for task in benchmark.tasks.values()
        if (Split.TRAIN, source_language) in task.parts
        and _is_intermediate(task)
        and not task.study
    ]
    everything = tuple(task.name for task in singles)
    plain = [Row(NONE, "XLM-R", "English", (), source_language)]
    plain += [
        Row(task.name, task.title, "English", (task.name,), source_language) for task in singles
    ]
    plain.append(Row(MULTI, "Multi-task", "English", everything, source_language))
    mixed = [Row(MLM, "MLM", "English + MLM", (), source_language, WIKIPEDIA)]
    mixed += [
        Row(
            f"{row.name}+mlm",
            f"{row.title} + MLM",
            "English + MLM",
            row.tasks,
            source_language,
            WIKIPEDIA,
        )
        for row in plain
        if row.tasks
    ]
    translated = [
        Row(
            f"{task.name}@{language}",
            f"{task.title} in {language}",
            "translated",
            (task.name,),
            language,
        )
        for task in singles
        for language in task.languages_of(Split.TRAIN)
        if language != source_language
    ]
    return (*plain, *mixed, *translated)


SMALLER = "-smaller"
"""At the end of the name of a row that starts from the scale's smaller encoder."""
LONGER = "none-x2"
"""The row without an intermediate task whose targets are trained for twice as many epochs."""
CPT, CPT_ENGLISH = "cpt", "cpt-en"
"""Continued pre-training on text alone, with MNLI's steps and tokens: in all languages, or one."""
FEATS, UPOS, SHUFFLED, UD_MLM = "feats", "upos", "feats-shuffled", "ud-mlm"
"""The arms of study 001: one treebank's annotation each, and its bare text."""
FAMILY = "family"
"""The experiment in which the methods of the studies meet languages whose truth is known."""

_TAUGHT = ("mnli", "squad_v1", "hellaswag")


def study_rows(study: str, benchmark: Benchmark) -> tuple[Row, ...]:
    """The rows of a study, in order: rows of Table 2, and arms that only studies have.

    Args:
        study: its number, such as ``003``; or :data:`FAMILY`.

    Raises:
        ConfigError: there is no such study.

    Example:
        >>> from stilts_artifact.benchmark import load_benchmark
        >>> [row.name for row in study_rows("001", load_benchmark("mini"))]
        ['none', 'feats', 'upos', 'feats-shuffled', 'ud-mlm']
    """
    known = {row.name: row for row in (*rows(benchmark), *_arms(benchmark))}
    english = tuple(row.name for row in english_rows(benchmark))
    calibrated = (NONE, LONGER, "squad_v1", "hellaswag", "qqp", "mnli", MULTI)
    names: Mapping[str, tuple[str, ...]] = {
        "000": english,
        "001": (NONE, FEATS, UPOS, SHUFFLED, UD_MLM),
        "002": (*english, MLM),
        "003": (NONE, *_TAUGHT, MLM, *(f"{name}+mlm" for name in _TAUGHT), CPT, CPT_ENGLISH),
        "004": (*calibrated, *(name + SMALLER for name in calibrated)),
        FAMILY: (NONE, "mnli", UPOS, FEATS, SHUFFLED),
    }
    if study not in names:
        raise unknown_name("study", study, names)
    known |= {row.name: row for row in map(_smaller, list(known.values()))}
    return tuple(known[name] for name in names[study])


def _arms(benchmark: Benchmark) -> tuple[Row, ...]:
    """What studies train beside the rows of Table 2."""
    own = benchmark.source_language
    return (
        Row(LONGER, "XLM-R, targets x 2", "English", (), own, target_epochs=2),
        Row(FEATS, "UPOS and features", "annotated English", ("ud_feats",), own),
        Row(UPOS, "UPOS", "annotated English", ("ud_upos",), own),
        Row(SHUFFLED, "Features shuffled", "annotated English", ("ud_shuffled",), own),
        Row(UD_MLM, "MLM, same text", "annotated English", (), own, TREEBANKS, "ud_feats"),
        Row(CPT, "MLM as MNLI", "continued pre-training", (), own, TARGETS, "mnli"),
        Row(
            CPT_ENGLISH,
            "MLM as MNLI, English",
            "continued pre-training",
            (),
            own,
            TARGETS_ENGLISH,
            "mnli",
        ),
    )


def _smaller(row: Row) -> Row:
    """The same row, from the smaller encoder."""
    return replace(
        row,
        name=row.name + SMALLER,
        title=f"{row.title}, smaller",
        group="smaller encoder",
        encoder="smaller",
    )


@dataclass(frozen=True, slots=True)
class Heading:
    """How a row of an experiment is presented.

    Args:
        title: as printed.
        group: block of the table that it stands in.
        details: what else is said of it, by name.
    """

    title: str
    group: str
    details: Mapping[str, str] = field(default_factory=dict)


def headings(experiment: Experiment, benchmark: Benchmark) -> dict[str, Heading]:
    """Every row that an experiment can have, in order, and how it is presented.

    Example:
        >>> from stilts_artifact.benchmark import load_benchmark
        >>> headings(EXPERIMENTS["table3"], load_benchmark("mini"))["best"].title
        'Best intermediate task'
    """
    if experiment.is_counted:
        return {
            task.name: Heading(task.title, task.role, {"kind": task.form, "licence": task.licence})
            for task in counted_tasks(benchmark)
        }
    found = {row.name: Heading(row.title, row.group) for row in experiment.rows(benchmark)}
    if experiment.selected_by is None:
        return found
    return {NONE: found[NONE], BEST: Heading("Best intermediate task", found[NONE].group)}


LANGUAGES = "languages"
"""Table 1's last column: in how many languages a task is evaluated."""


def counted_tasks(benchmark: Benchmark) -> tuple[Task, ...]:
    """The tasks that Table 1 counts: those of the paper, in a language at least."""
    return tuple(task for task in benchmark.tasks.values() if task.languages and not task.study)


def counted_places(task: Task, benchmark: Benchmark) -> list[tuple[Split, str]]:
    """The splits that Table 1 counts, each in one language, in order.

    Of intermediate tasks only the source language.
    """
    languages = (benchmark.source_language,) if task.role is Role.INTERMEDIATE else task.languages
    places = [(split, language) for split in Split for language in languages]
    return [place for place in places if place in task.parts]


def english_rows(benchmark: Benchmark) -> tuple[Row, ...]:
    """The rows trained on English intermediate tasks alone, XLM-R itself first."""
    return tuple(row for row in rows(benchmark) if row.group == "English")


def untrained_row(benchmark: Benchmark) -> tuple[Row, ...]:
    """XLM-R as it is."""
    return rows(benchmark)[:1]


def row_named(benchmark: Benchmark, name: str) -> Row:
    """The row of Table 2 with this name.

    Raises:
        ConfigError: there is none.
    """
    known = {row.name: row for row in rows(benchmark)}
    if name not in known:
        raise unknown_name("row", name, known)
    return known[name]


def targets(benchmark: Benchmark) -> tuple[Task, ...]:
    """The target tasks, in the order of the columns: the paper's nine, and those of studies."""
    return tuple(task for task in benchmark.tasks.values() if not _is_intermediate(task))


STUDY_SEEDS = (1, 2, 3, 4, 5)
"""Of a study's training runs: Table 2's three and two more, for their spread is part of it."""


def _study(number: str, caption: str, *columns: str) -> Experiment:
    return Experiment(
        name=f"study-{number}",
        title=f"Study {number}",
        caption=caption,
        command=f"study {number}",
        split=Split.TEST,
        rows=partial(study_rows, number),
        measured_by="stilts_artifact.experiments.scored:measure",
        columns=columns,
        seeds=STUDY_SEEDS,
        study=number,
    )


EXPERIMENTS: Mapping[str, Experiment] = MappingProxyType(
    {
        row.name: row
        for row in (
            Experiment(
                name="table1",
                title="Table 1",
                caption="Tasks and their sizes",
                command="reproduce --table 1",
                split=None,
                rows=lambda _: (),
                measured_by="stilts_artifact.experiments.table1:measure",
            ),
            Experiment(
                name="calibration",
                title="Calibration",
                caption="Published retrieval scores of the untuned encoder",
                command=CALIBRATION,
                split=Split.DEV,
                rows=untrained_row,
                measured_by="stilts_artifact.experiments.scored:measure",
                columns=GROUPS["retrieval"],
                # Nothing is drawn: the number only stands where a trained run has its seed.
                seeds=(0,),
                # The published run kept 256 tokens and computed in float32 (jiant-dev pull request
                # 128, 2020-07-29); everything else is the default of the paper's own library.
                retrieval={"max_length": 256, "dtype": "float32"},
            ),
            Experiment(
                name="zero-shot",
                title="Zero-shot calibration",
                caption="Published scores of the encoder, trained on English alone, on test data",
                command=CALIBRATION,
                split=Split.TEST,
                rows=untrained_row,
                measured_by="stilts_artifact.experiments.scored:measure",
                columns=("xnli", "mlqa"),
                whole=True,
            ),
            Experiment(
                name="table2",
                title="Table 2",
                caption="Transfer on development data",
                command="reproduce --table 2",
                split=Split.DEV,
                rows=rows,
                measured_by="stilts_artifact.experiments.scored:measure",
                averages={AVERAGE: EVERY_GROUP},
                decides_claims=True,
            ),
            Experiment(
                name="table2-test",
                title="Table 2 on test data",
                caption="Transfer on test data, every row",
                command="reproduce --table 2-test",
                split=Split.TEST,
                rows=rows,
                measured_by="stilts_artifact.experiments.scored:measure",
                averages={AVERAGE: EVERY_GROUP},
            ),
            Experiment(
                name="table3",
                title="Table 3",
                caption="The best intermediate task for each target, on test data",
                command="reproduce --table 3",
                split=Split.TEST,
                rows=english_rows,
                measured_by="stilts_artifact.experiments.table3:measure",
                averages={**{group: (group,) for group in EVERY_GROUP}, OVERALL: EVERY_GROUP},
                selected_by="table2",
                decides_claims=True,
            ),
            _study("000", "Morphological complexity, and what a language gains in NER", "panx"),
            _study(
                "001",
                "Annotated English first, and tagging of agglutinative languages",
                *("udpos", "udpos_xr", "panx", "panx_xr"),
            ),
            _study("002", "Morphological complexity, and alignment with English", "ntrex"),
            _study("003", "Intermediate training against continued pre-training", "udpos", "panx"),
            replace(
                _study("004", "Size, and calibration after intermediate training", "xnli"),
                probabilities=True,
            ),
            Experiment(
                name=FAMILY,
                title="The family of languages",
                caption="Transfer to languages that differ in one thing at a time, on test data",
                command=f"study {FAMILY}",
                split=Split.TEST,
                rows=partial(study_rows, FAMILY),
                measured_by="stilts_artifact.experiments.scored:measure",
                columns=("udpos", "panx", "tatoeba"),
            ),
        )
    }
)
"""Name -> experiment, in the order in which they are shown."""


def experiment_named(name: str) -> Experiment:
    """The experiment with this name.

    Raises:
        ConfigError: there is none.

    Example:
        >>> experiment_named("table3").selected_by
        'table2'
    """
    if name not in EXPERIMENTS:
        raise unknown_name("experiment", name, EXPERIMENTS)
    return EXPERIMENTS[name]


def stages(experiment: Experiment) -> tuple[Experiment, ...]:
    """The experiments that a run goes through: the one whose scores choose the rows first."""
    if experiment.selected_by is None:
        return (experiment,)
    return (experiment_named(experiment.selected_by), experiment)


def study_tasks(experiment: Experiment, benchmark: Benchmark) -> tuple[str, ...]:
    """Names of the tasks that an experiment trains on or scores and that the paper does not have.

    Example:
        >>> from stilts_artifact.benchmark import load_benchmark
        >>> study_tasks(EXPERIMENTS["table2"], load_benchmark("mini"))
        ()
    """
    used = {name for row in experiment.rows(benchmark) for name in row.tasks}
    used |= {task.name for task in experiment.targets(benchmark)}
    return tuple(name for name, task in benchmark.tasks.items() if task.study and name in used)


def training_task(target: Task, benchmark: Benchmark) -> str | None:
    """Name of the first target with the same training data: two that share it are one model.

    Example:
        >>> from stilts_artifact.benchmark import load_benchmark
        >>> mini = load_benchmark("mini")
        >>> training_task(mini.tasks["mlqa"], mini), training_task(mini.tasks["tatoeba"], mini)
        ('xquad', None)
    """
    place = (Split.TRAIN, benchmark.source_language)
    if place not in target.parts:
        return None
    return next(
        task.name for task in targets(benchmark) if task.parts.get(place) == target.parts[place]
    )


def selection_task(target: Task, benchmark: Benchmark) -> str | None:
    """The task whose development data, in the source language, choose a target's checkpoint.

    The target that is trained itself where it has such data; else whichever task has the same
    training data (SQuAD for XQuAD and MLQA, which are one model). TyDiQA-GoldP has neither, and its
    public development set is its test set: the last checkpoint is kept.

    Example:
        >>> from stilts_artifact.benchmark import load_benchmark
        >>> mini = load_benchmark("mini")
        >>> [selection_task(mini.tasks[name], mini) for name in ("pawsx", "xquad", "tydiqa")]
        ['pawsx', 'squad_v1', None]
    """
    train, dev = (Split.TRAIN, benchmark.source_language), (Split.DEV, benchmark.source_language)
    trained = training_task(target, benchmark)
    if trained is None:
        return None
    if dev in benchmark.tasks[trained].parts:
        return trained
    same = (
        task.name
        for task in benchmark.tasks.values()
        if dev in task.parts and task.parts.get(train) == target.parts[train]
    )
    return next(same, None)


def _is_intermediate(task: Task) -> bool:
    return task.role is Role.INTERMEDIATE
