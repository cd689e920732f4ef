"""A target of a known form is one row: with numbers and files it goes all the way to a verdict."""

from __future__ import annotations

import pkgutil
import random
from dataclasses import replace
from pathlib import Path

import pytest

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import EXPERIMENTS, NONE, row_named
from stilts_artifact.benchmark.languages import MINI
from stilts_artifact.benchmark.tasks import TaskRow, groups, make_task
from stilts_artifact.checking.expected import load_expected
from stilts_artifact.checking.judge import judge_table
from stilts_artifact.config.load import load_scale
from stilts_artifact.config.schema import Scale, TaskTraining
from stilts_artifact.data.library import Library
from stilts_artifact.data.store import FileStore
from stilts_artifact.domain.cells import CellKey, Measurement, Verdict
from stilts_artifact.domain.signature import Signature
from stilts_artifact.domain.tasks import Benchmark, Part, Source, Split, TaskForm
from stilts_artifact.experiments.scored import RunKey, gather
from stilts_artifact.experiments.steps import StepBuilder
from stilts_artifact.metrics.averages import over_groups
from stilts_artifact.metrics.score import score_folders
from stilts_artifact.metrics.tables import Column, table_columns, table_values
from stilts_artifact.model.hub import PhaseOne
from stilts_artifact.model.manifest import deciding_files, read_manifest
from stilts_artifact.pipeline import kinds
from stilts_artifact.pipeline.job import Job
from stilts_artifact.pipeline.step import Graph, Step
from tests.unit.model.tiny import make_tiny

LANGUAGES = ("qaa", "qen")
SPLITS = {"train": 48, "dev_2k": 12, "test_2k": 10}

# All that the product is told: the row, its training numbers and its expected value.
ROW = TaskRow(
    name="third",
    title="Third",
    form=TaskForm.PAIR,
    metrics=("accuracy",),
    labels=("0", "1"),
    group="classification",
    tuning="third",
    languages={"mini": " ".join(LANGUAGES)},
    train=(Part("third.{language}.train.tsv", "pawsx"),),
    dev=(Part("third.{language}.dev_2k.tsv", "pawsx"),),
    test=(Part("third.{language}.test_2k.tsv", "pawsx"),),
)
NUMBERS = TaskTraining(epochs=2, batch=16, learning_rate=5e-4, max_length=64, train_rows=None)
EXPECTED = """
experiment: table2
benchmark: mini
scale: mini
citation: made up
columns: {third: {tolerance: 1, basis: b}}
sources: {here: made up}
reasons: {b: the basis}
cells:
- {row: none, column: third, value: VALUE, decimals: 4, source: here}
"""


def write_files(folder: Path) -> None:
    """The task's files in the format of PAWS-X: two texts say the same if they are equal."""
    folder.mkdir()
    for language in LANGUAGES:
        for split, count in SPLITS.items():
            if split == "train" and language != MINI.source_language:
                continue
            chance = random.Random(f"{language} {split}")
            lines = ["id\tsentence1\tsentence2\tlabel"]
            for number in range(count):
                first, other = (f"{chance.choice('bdk')}a merfa sudi {word}" for word in "xy")
                second, label = (first, 1) if number % 2 else (other, 0)
                lines.append(f"{number}\t{first}\t{second}\t{label}")
            path = folder / f"third.{language}.{split}.tsv"
            path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def with_the_row(benchmark: Benchmark) -> Benchmark:
    task = make_task(ROW, MINI)
    names = {part.source for parts in task.parts.values() for part in parts}
    sources = {
        name: Source(name, (), None, None, "CC0-1.0", "bring it", "nobody") for name in names
    }
    return replace(
        benchmark,
        tasks={**benchmark.tasks, ROW.name: task},
        sources={**benchmark.sources, **sources},
    )


@pytest.fixture(scope="module")
def benchmark() -> Benchmark:
    return with_the_row(load_benchmark("mini"))


@pytest.fixture(scope="module")
def scale() -> Scale:
    mini = load_scale("mini")
    return mini.model_copy(update={"targets": {**mini.targets, "third": NUMBERS}})


@pytest.fixture(scope="module")
def published(benchmark: Benchmark, scale: Scale, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that Table 2 publishes of the row without an intermediate task."""
    folder = tmp_path_factory.mktemp("third")
    write_files(folder / "data")
    library = Library(benchmark.sources, FileStore(folder / "store"), [folder / "data"])
    task, table2 = benchmark.tasks["third"], EXPERIMENTS["table2"]
    tiny = make_tiny(folder / "encoder")
    files = deciding_files(read_manifest(tiny))
    builder = StepBuilder(benchmark, scale, PhaseOne("tiny", "tiny", files), library.pins())
    context = kinds.make_context(
        folder / "store",
        [folder / "data"],
        {"tiny": tiny},
        device="cpu",
        checkpoint_every=1000,
    )
    results: dict[Step, Path] = {}

    def made(step: Step) -> Path:
        """The result of a step, run here instead of on a cluster."""
        if step not in results:
            inputs = {name: made(own) for name, own in step.inputs.items()}
            out, work = (folder / part / str(len(results)) for part in ("results", "work"))
            for path in (out, work):
                path.mkdir(parents=True)
            params = Graph([step], kinds.KINDS).keyed(step).params
            function = pkgutil.resolve_name(kinds.KINDS[step.kind].target)
            function(Job(params, inputs, out, work, context))
            results[step] = out
        return results[step]

    seed = scale.seeds[0]
    with pytest.MonkeyPatch.context() as patch:
        for module in ("prepare", "predict"):
            reader = f"stilts_artifact.pipeline.tasks.{module}.load_benchmark"
            patch.setattr(reader, lambda *_, **__: benchmark)
        row = row_named(benchmark, NONE)
        predictions = made(builder.predictions(row, seed, task, table2, LANGUAGES))
        labels = made(builder.labels(task, table2, LANGUAGES))
    gather(
        folder / "table2.mini",
        {RunKey(NONE, seed, "third"): predictions},
        {("third", Split.DEV): labels},
    )
    return folder / "table2.mini"


def test_it_is_a_column_of_every_table_of_scores(benchmark: Benchmark) -> None:
    task = benchmark.tasks["third"]
    for name in ("table2", "table3"):
        columns = {one.name: one for one in table_columns(benchmark, EXPERIMENTS[name])}
        assert columns["third"] == Column("third", (task,), "score")
    assert columns["classification"].tasks[-1] is task
    assert groups(benchmark.tasks.values())["classification"] == ("xnli", "pawsx", "third")


@pytest.mark.slow
def test_its_cells_are_valued_and_judged(
    benchmark: Benchmark, scale: Scale, published: Path, tmp_path: Path
) -> None:
    values = table_values(published, benchmark, EXPERIMENTS["table2"], [NONE], scale.seeds)
    cell = values[CellKey(NONE, "third")]
    assert cell.value is not None
    assert 0 < cell.value < 101
    assert cell.examples == 2 * SPLITS["dev_2k"]
    languages = [values[CellKey(NONE, "third", language)].value for language in LANGUAGES]
    assert cell.value == sum(value or 0 for value in languages) / 2
    signature = Signature(
        task="third",
        split="dev",
        languages=LANGUAGES,
        metric="accuracy",
        seeds=scale.seeds,
        scale="mini",
        version="0",
    )
    measured = Measurement(CellKey(NONE, "third"), cell.value, None, signature.short())
    for value, verdict in (
        (cell.value, Verdict.REPRODUCED),
        (cell.value - 50, Verdict.NOT_REPRODUCED),
    ):
        path = tmp_path / "table2.yaml"
        path.write_text(EXPECTED.replace("VALUE", f"{value:.4f}"), encoding="utf-8")
        (judged,) = judge_table([measured], load_expected(path))
        assert judged.verdict is verdict


@pytest.mark.slow
def test_it_is_scored_in_a_submission_folder(
    benchmark: Benchmark, scale: Scale, published: Path, tmp_path: Path
) -> None:
    """``score`` reads test files; the same files under that name."""
    predicted = published / "predictions" / NONE / f"seed-{scale.seeds[0]}" / "third"
    for source, folder in ((predicted, "predictions"), (published / "labels" / "third", "labels")):
        for language in LANGUAGES:
            target = tmp_path / folder / "third" / f"test-{language}.tsv"
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes((source / f"dev-{language}.tsv").read_bytes())
    scores = score_folders(
        tmp_path / "predictions", tmp_path / "labels", benchmark=benchmark, resamples=5
    )
    values = table_values(published, benchmark, EXPERIMENTS["table2"], [NONE], scale.seeds)
    assert scores.tasks["third"].score.value == values[CellKey(NONE, "third")].value
    assert over_groups({}, groups(benchmark.tasks.values())) == scores.groups == {}
