"""Made-up results of every experiment, with every verdict, flag and gap that a report shows."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from itertools import product
from statistics import fmean, median

from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.benchmark.experiments import (
    BEST,
    EXPERIMENTS,
    GROUPS,
    NONE,
    Experiment,
    row_named,
    rows,
    targets,
)
from stilts_artifact.checking.learning_curves import Curve, CurveKey, Point
from stilts_artifact.checking.results import (
    CellRecord,
    ClaimRecord,
    FileRecord,
    InputRecord,
    Results,
    RowRecord,
)
from stilts_artifact.domain.cells import Verdict
from stilts_artifact.forms import form_of

MINI = load_benchmark("mini")
STAMP = "mini: not evidence about the paper"
HOSTILE = '<script>alert("x")</script> & | [bold]'
DEGENERATE_ROW = "ccg+mlm"
UNMEASURED_ROW = "hellaswag@qaf"

_LEVELS = {
    "xnli": 70,
    "pawsx": 82,
    "udpos": 74,
    "panx": 62,
    "xquad": 66,
    "mlqa": 60,
    "tydiqa": 58,
    "bucc2018": 55,
    "tatoeba": 36,
}
_HELP = {
    "none": 0,
    "multi": 1.1,
    "squad_v1": 1.0,
    "mnli": 0.95,
    "hellaswag": 0.9,
    "squad_v2": 0.9,
    "anli_plus": 0.8,
}


def table2(seeds: tuple[int, ...] = (11, 12, 13)) -> Results:
    """A full Table 2 of the mini world: a row that collapsed, one not run, some cells expected."""
    names = [row.name for row in rows(MINI)]
    records = [RowRecord(row=row.name, title=row.title, group=row.group) for row in rows(MINI)]
    cells = [cell for name in names for cell in _row(name, EXPERIMENTS["table2"], seeds)]
    return _results("table2", records, cells, _claims("table2"), seeds)


CURVE_ROWS = ("none", "mnli", "multi", "mlm", "mnli+mlm")


def learning_curves(results: Results, evaluations: int = 3) -> dict[CurveKey, Curve]:
    """Made-up curves of some rows' runs behind a Table 2, each with another loss at its end."""
    chance = random.Random(7)
    trained = {"xnli": "xnli", "udpos": "udpos", "xquad": "xquad", "mlqa": "xquad"}

    def curve(steps: int, high: float, low: float, *, scored: bool) -> Curve:
        losses = {
            step: high * (low / high) ** (step / steps) * chance.uniform(0.9, 1.1)
            for step in range(steps // 20, steps + 1, steps // 20)
        }
        places = [steps * number // evaluations for number in range(1, evaluations + 1)]
        scores = {step: 90 - 40 * low - 500 / step for step in places if scored}
        every = sorted(losses.keys() | scores.keys())
        points = (Point(step, losses.get(step), scores.get(step)) for step in every)
        return Curve(steps, tuple(points))

    found: dict[CurveKey, Curve] = {}
    for name, seed in product(CURVE_ROWS, results.seeds):
        of = row_named(MINI, name)
        for task in (*of.tasks, *(["mlm"] if of.mlm else [])):
            key = CurveKey("intermediate", name, seed, "", task)
            found[key] = curve(400, 2.0, chance.uniform(0.1, 0.4), scored=task != "mlm")
        for target, task in trained.items():
            key = CurveKey("target", name, seed, target, task)
            before = CurveKey("target", name, seed, "xquad", task)
            own = found.get(before) or curve(200, 3.0, chance.uniform(0.1, 0.6), scored=True)
            found[key] = own
        key = CurveKey("target", name, seed, "tydiqa", "tydiqa")
        found[key] = curve(300, 4.0, 0.5, scored=False)
    return found


def table3(seeds: tuple[int, ...] = (11,)) -> Results:
    """A Table 3: XLM-R and the best row of each target."""
    chosen = {task.name: "mnli" if task.name == "tatoeba" else "squad_v1" for task in targets(MINI)}
    records = [
        RowRecord(row=NONE, title="XLM-R", group="test"),
        RowRecord(row=BEST, title="Best for each target", group="test", details=chosen),
    ]
    cells = [cell for name in (NONE, BEST) for cell in _row(name, EXPERIMENTS["table3"], seeds)]
    return _results("table3", records, cells, _claims("table3"), seeds)


def calibration() -> Results:
    """The calibration: the untuned encoder on two targets, each language expected, one not met."""
    cells = [
        cell.model_copy(
            update={"expected": cell.value, "verdict": Verdict.REPRODUCED, "reason": "equal"}
        )
        for cell in _row(NONE, EXPERIMENTS["calibration"], (0,))
    ]
    missed = {"expected": 12.0, "verdict": Verdict.NOT_REPRODUCED, "reason": "differs"}
    cells[-1] = cells[-1].model_copy(update=missed)
    record = RowRecord(row=NONE, title="mini encoder", group="untuned")
    return _results("calibration", [record], cells, [], (0,))


def table1() -> Results:
    """A Table 1 of two tasks: a size that differs, one nobody published, one not measured."""
    tasks = [MINI.tasks["mnli"], MINI.tasks["xnli"]]
    records = [
        RowRecord(
            row=task.name,
            title=task.title,
            group=task.role,
            details={"kind": task.form, "licence": HOSTILE},
        )
        for task in tasks
    ]
    cells = [
        _count("mnli", "train", "qen", 3600, 3600),
        _count("mnli", "dev", "qen", 300, 301),
        _count("xnli", "train", "qen", 3600, None),
        _count("xnli", "dev", "qaa", None, 201),
        _count("xnli", "dev", "qab", 201, 201),
    ]
    return _results("table1", records, cells, [], ())


def _results(
    experiment: str,
    records: list[RowRecord],
    cells: list[CellRecord],
    claims: list[ClaimRecord],
    seeds: tuple[int, ...],
) -> Results:
    inputs = [
        InputRecord(
            source=source.name,
            bytes=source.bytes or 0,
            sha256=source.sha256 or "",
            satisfied_by="store",
        )
        for source in list(MINI.sources.values())[:12]
    ]
    files = [
        FileRecord(
            path=f"{experiment}.mini/labels/xnli/dev-{language}.tsv",
            bytes=2000,
            sha256="0" * 64,
        )
        for language in MINI.tasks["xnli"].languages
    ]
    return Results(
        experiment=experiment,
        scale="mini",
        scale_reason=f"asked for by name {HOSTILE}",
        stamp=STAMP,
        verdict=Verdict.NOT_REPRODUCED,
        rows=records,
        cells=cells,
        claims=claims,
        seeds=list(seeds),
        inputs=inputs,
        files=[] if EXPERIMENTS[experiment].is_counted else files,
        environment={
            "stilts-artifact": "0.1.0",
            "python": "3.11.16",
            "platform": "Linux x86_64",
            "torch": "2.13.0+cpu",
            "note": HOSTILE,
        },
    )  # type: ignore[arg-type]


def _row(name: str, experiment: Experiment, seeds: tuple[int, ...]) -> Iterator[CellRecord]:
    by_task: dict[str, list[float]] = {}
    for task in experiment.targets(MINI):
        languages = task.languages_of(experiment.scored_split(task))
        for column in form_of(task).columns(task):
            runs = {
                language: _runs(name, task.name, column, language, experiment, seeds)
                for language in languages
            }
            means = [fmean(values) for values in zip(*runs.values(), strict=True)]
            if column == task.name:
                by_task[task.name] = means
            yield _cell(name, column, None, means)
            for language in languages:
                yield _cell(name, column, language, runs[language])
    for average, groups in experiment.averages.items():
        averaged = [by_task[task] for group in groups for task in GROUPS[group]]
        yield _cell(name, average, None, [fmean(values) for values in zip(*averaged, strict=True)])


def _runs(
    row: str, task: str, column: str, language: str, experiment: Experiment, seeds: Iterable[int]
) -> list[float]:
    base = row.partition("@")[0].removesuffix("+mlm")
    gain = (
        8
        * _HELP.get(base, 1.2 if base == BEST else 0.35)
        * {"tatoeba": 3.2, "bucc2018": 1.9, "xnli": 0.1}.get(task, 0.7)
    )
    gain -= 1.5 * row.endswith("+mlm") + 2.5 * ("@" in row)
    level = _LEVELS[task] + 12 * (column.endswith("_f1")) - 12 * column.endswith("_em")
    level += random.Random(f"{task}/{language}").uniform(-9, 9)
    drawn = [
        level
        + gain
        + random.Random(f"{row}/{column}/{language}/{experiment.name}/{seed}").gauss(0, 1.2)
        for seed in seeds
    ]
    if row == DEGENERATE_ROW and task == "xnli":
        drawn[-1] = 100 / 3
    return [min(max(value, 0.0), 100.0) for value in drawn]


def _cell(row: str, column: str, language: str | None, seeds: list[float]) -> CellRecord:
    value: float | None = round(median(seeds), 6)
    expected, verdict, reason = None, Verdict.NOT_CHECKABLE, "no public source states this cell"
    if row == UNMEASURED_ROW:
        value, verdict, reason = None, Verdict.NOT_RUN, f"no file predictions/{HOSTILE}"
    elif row == NONE and language is None and column in ("bucc2018", "tatoeba"):
        expected = 71.5 if column == "bucc2018" else 31.0
        verdict = Verdict.NOT_REPRODUCED if column == "bucc2018" else Verdict.INCONCLUSIVE
        reason = f"differs by {value - expected:+.2f}, limit 4"
    elif row == "mnli" and language is None and not column.endswith(("_f1", "_em")):
        expected, verdict, reason = round(value or 0, 1), Verdict.REPRODUCED, "equal"
    flag = "DEGENERATE" if row == DEGENERATE_ROW and column == "xnli" else None
    return CellRecord(
        row=row,
        column=column,
        language=language,
        value=value,
        expected=expected,
        limit=4.0 if expected is not None else None,
        verdict=verdict,
        reason=reason,
        signature=""
        if value is None
        else f"{column}|split:dev|lang:qaa|metric:score|scale:mini|v:0.1.0",
        seeds=seeds if len(seeds) > 1 and value is not None else None,
        flag=flag,
    )


def _count(
    row: str, column: str, language: str | None, value: int | None, expected: int | None
) -> CellRecord:
    if value is None:
        verdict, reason = Verdict.NOT_RUN, "file xnli.zip is absent"
    elif expected is None:
        verdict, reason = Verdict.NOT_CHECKABLE, f"no public count {HOSTILE}"
    elif value == expected:
        verdict, reason = Verdict.REPRODUCED, "equal"
    else:
        verdict, reason = Verdict.NOT_REPRODUCED, f"differs by {value - expected:+d}"
    return CellRecord(
        row=row,
        column=column,
        language=language,
        value=value,
        expected=expected,
        limit=0.0,
        verdict=verdict,
        reason=reason,
        signature="" if value is None else "s",
    )


def _claims(experiment: str) -> list[ClaimRecord]:
    if experiment == "table3":
        return [
            ClaimRecord(
                claim="best-improves",
                title="The best task for each target beats XLM-R on test data",
                verdict=Verdict.REPRODUCED,
                reason="holds as measured, and in 100.0% of what chance allows",
                numbers={"gain": 5.412},
                cells=["best/overall", "none/overall"],
            )
        ]
    cases = [
        (
            "improves",
            "English intermediate-task training improves",
            Verdict.REPRODUCED,
            {"mean_gain": 4.2},
        ),
        (
            "squad-gain",
            "SQuAD gains 8.2 points on average",
            Verdict.NOT_REPRODUCED,
            {"gain": 2.1, "reported": 8.2},
        ),
        ("multi-best", "Multi-task training is best", Verdict.INCONCLUSIVE, {"lead": 0.31}),
        (
            "best-gain",
            "The best task for each target gains 5.4 points on XTREME",
            Verdict.NOT_RUN,
            {},
        ),
        ("english-over-translated", HOSTILE, Verdict.NOT_CHECKABLE, {}),
    ]
    reason = f"holds in 97.1% of what chance allows [{STAMP}]"
    return [
        ClaimRecord(
            claim=name,
            title=title,
            verdict=verdict,
            reason=reason,
            numbers=numbers,
            cells=["mnli/average", "none/average"] if numbers else [],
        )
        for name, title, verdict, numbers in cases
    ]
