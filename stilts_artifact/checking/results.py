"""Results files ``{experiment}.{scale}.json``: ``reproduce`` writes them, ``check`` re-judges."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from stilts_artifact.benchmark.asked import PATTERN
from stilts_artifact.benchmark.experiments import (
    BEST,
    EXPERIMENTS,
    LANGUAGES,
    Experiment,
    counted_places,
    counted_tasks,
    experiment_named,
    headings,
    row_named,
)
from stilts_artifact.benchmark.titles import Titles, column_title
from stilts_artifact.checking.expected import ExperimentName, VisibleText
from stilts_artifact.config import SCALES
from stilts_artifact.config.load import (
    benchmark_of,
    load_scale,
    parse_definition,
    refuse_rehearsal,
)
from stilts_artifact.config.schema import SCALE_NAME, Scale, ScaleName
from stilts_artifact.documents import dump_json, parse_json, read_document
from stilts_artifact.domain.cells import CellKey, Finding, Flag, Measurement, Verdict
from stilts_artifact.domain.signature import Signature
from stilts_artifact.domain.tasks import Benchmark
from stilts_artifact.errors import (
    ConfigError,
    DataError,
    IntegrityError,
    MissingDataError,
    unknown_name,
)
from stilts_artifact.files import folder_behind, hash_bytes
from stilts_artifact.metrics.tables import table_columns
from stilts_artifact.studies.record import StudyRecord

T = TypeVar("T")

FORMAT = 3
"""Of results files: raised when their fields change."""
MOST_SEEDS = 100
"""More runs of one row than anybody has ever made: a file with more is not a result."""


Pattern = Annotated[str, StringConstraints(pattern=PATTERN)]
"""Cells asked for, as :func:`stilts_artifact.benchmark.asked.wanted_cells` reads them."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class CellRecord(_Strict):
    """One cell of a results file: what was measured, what was expected, and the verdict.

    Attributes:
        expected: the value that it was held against, if one is known.
        limit: how far the two may lie apart before the cell is NOT_REPRODUCED: the tolerance,
            widened by rounding, seeds and sampling; ``None`` where nothing was compared.
        seeds: value of each seed, in the order of the file's seeds, where there is more than one.
        flag: a run that collapsed is reported, never dropped.
    """

    row: str
    column: str
    language: str | None = None
    value: int | float | None
    expected: int | float | None
    limit: float | None
    verdict: Verdict
    reason: VisibleText
    signature: str
    seeds: tuple[float, ...] | None = None
    flag: Flag | None = None

    @cached_property
    def key(self) -> CellKey:
        """Place of the cell."""
        return CellKey(self.row, self.column, self.language)

    def measurement(self) -> Measurement:
        """The measured part of the record, to be judged again."""
        reason = self.reason if self.value is None else None
        return Measurement(
            self.key, self.value, reason, self.signature, seeds=self.seeds or None, flag=self.flag
        )


class RowRecord(_Strict):
    """How a row is presented: what the benchmark says of it, whatever a file says.

    Attributes:
        group: block of the table that it stands in.
        details: of a task its kind and licence; of the best rows, which was chosen for each target.
    """

    row: str
    title: VisibleText
    group: VisibleText
    details: dict[VisibleText, VisibleText] = {}


class InputRecord(_Strict):
    """One verified input file.

    ``source``, or ``source!member`` where members stood in for their archive.
    """

    source: VisibleText
    bytes: int
    sha256: VisibleText
    satisfied_by: VisibleText


class FileRecord(_Strict):
    """A file that cells were computed from: predictions, labels.

    ``path`` is relative to the results folder.
    """

    path: VisibleText
    bytes: int
    sha256: VisibleText


class ClaimRecord(_Strict):
    """The verdict on one claim, with the numbers and the cells that it rests on."""

    claim: VisibleText
    title: VisibleText
    verdict: Verdict
    reason: VisibleText
    numbers: dict[VisibleText, float]
    cells: list[VisibleText]


class Results(_Strict):
    """A whole results file.

    Attributes:
        format: of the file; another one is refused in its own words.
        asked: the ``--only`` of each run whose cells stand here, in the order of the runs; none
            where a run was asked for everything.
        experiment: its name, such as ``table2``.
        definition: the whole scale, where it does not ship.
        seeds: of the trained runs behind the cells, of which the median is reported; none where
            nothing is trained.
        files: what the cells were computed from; none where the cells are counted from
            ``inputs``.
        study: the analysis of a study; its finding is then the verdict.
    """

    format: Literal[3] = 3
    experiment: ExperimentName
    scale: ScaleName
    scale_reason: VisibleText
    stamp: VisibleText
    definition: dict[str, Any] | None = None
    asked: list[list[Pattern]] = [[]]
    verdict: Verdict | Finding
    rows: list[RowRecord]
    cells: list[CellRecord]
    claims: list[ClaimRecord]
    seeds: list[int] = []
    inputs: list[InputRecord]
    files: list[FileRecord] = []
    environment: dict[VisibleText, VisibleText]
    study: StudyRecord | None = None

    @cached_property
    def defined(self) -> Experiment:
        """What the experiment is, from the benchmark and never from the file."""
        return experiment_named(self.experiment)

    @property
    def title(self) -> str:
        """How verdicts call it: a study by another protocol is not the one of its name."""
        altered = self.study is not None and self.study.altered
        return self.defined.title + (", altered protocol" if altered else "")

    @cached_property
    def run_scale(self) -> Scale:
        """The scale of the run; of one that does not ship, what its definition says.

        Raises:
            ConfigError: no scale of this name ships, and there is no definition of one; or not one.
        """
        if self.definition is None:
            return load_scale(self.scale).within(self.defined)
        where = f"{self.run_name}.json: definition"
        scale = parse_definition(json.dumps(self.definition), where)
        if scale.name != self.scale:
            raise ConfigError(
                "the definition of another scale", where=where, got=scale.name, expected=self.scale
            )
        return scale

    @cached_property
    def benchmark(self) -> Benchmark:
        """What the run's cells are of."""
        return benchmark_of(self.run_scale)

    @cached_property
    def titles(self) -> Titles:
        """How its rows and columns are headed, the same in every list."""
        rows = {name: one.title for name, one in headings(self.defined, self.benchmark).items()}
        columns = dict.fromkeys(cell.column for cell in self.cells)
        if not self.defined.is_counted:
            columns |= {column.name: None for column in table_columns(self.benchmark, self.defined)}
        return Titles(
            rows | {row.row: row.title for row in self.rows},
            {name: column_title(name, self.benchmark).title for name in columns},
        )

    @property
    def is_real(self) -> bool:
        """Whether its languages are real ones, of which it says something.

        A scale of one's own, or another encoder, is no evidence about the paper
        (:attr:`Scale.evidence`), but it is about that encoder.
        """
        return self.benchmark.name == "xtreme"

    @property
    def run_name(self) -> str:
        """How the results file, without its suffix, and the folder beside it are called."""
        return f"{self.experiment}.{self.scale}"


_DECIDED = (Verdict.REPRODUCED, Verdict.NOT_REPRODUCED, Verdict.INCONCLUSIVE)


@dataclass(frozen=True, slots=True)
class Disagreement:
    """A cell or claim whose verdict in the file is not what its numbers deserve, and why."""

    key: CellKey | str
    stored: Verdict | Finding
    judged: Verdict | Finding
    reason: str

    def name(self, titles: Titles) -> str:
        """What it is about, as people call it."""
        return titles.of(self.key) if isinstance(self.key, CellKey) else self.key

    def in_words(self, titles: Titles) -> str:
        """What the file says, and what is so; of a study other numbers may give the same finding.

        Example:
            >>> one = Disagreement("H1", Finding.SUPPORTED, Finding.INCONCLUSIVE, "p = 0.4")
            >>> one.in_words(Titles({}, {}))
            'the file says SUPPORTED for H1; judged INCONCLUSIVE: p = 0.4'
        """
        name = self.name(titles)
        if self.stored is self.judged:
            return f"{name}: {self.reason}"
        return f"the file says {self.stored} for {name}; judged {self.judged}: {self.reason}"


def row_records(
    experiment: Experiment,
    benchmark: Benchmark,
    names: Collection[str] | None = None,
    choices: Mapping[str, str] | None = None,
) -> list[RowRecord]:
    """The rows of an experiment, in its order.

    Args:
        names: only these; by default all.
        choices: target -> the row that was chosen for it, where rows are chosen.
    """
    return [
        RowRecord(
            row=name,
            title=found.title,
            group=found.group,
            details=dict(found.details) | dict(choices or {} if name == BEST else {}),
        )
        for name, found in headings(experiment, benchmark).items()
        if names is None or name in names
    ]


def results_path(folder: Path, experiment: str, scale: str) -> Path:
    """Where the results of an experiment at a scale lie."""
    return folder / f"{experiment}.{scale}.json"


def results_files(
    folder: Path, experiments: Iterable[Experiment] | None = None, scale: str | None = None
) -> list[Path]:
    """The results files of a folder, by experiment and scale.

    Args:
        experiments: only these; by default all.
        scale: only this one: its name, or somebody's own file of it.

    Raises:
        MissingDataError: there is none.
        ConfigError: no such scale ships or has results there, or not the file of one.
    """
    asked = list(EXPERIMENTS.values() if experiments is None else experiments)
    names = [_scales_in(folder, one) if scale is None else [_scale_name(scale)] for one in asked]
    paths = [
        results_path(folder, one.name, name)
        for one, own in zip(asked, names, strict=True)
        for name in own
    ]
    found = [path for path in paths if path.is_file()]
    if not found and scale is not None and names[0][0] not in SCALES:
        here = {name for one in asked for name in _scales_in(folder, one)}
        raise unknown_name("scale", scale, [*SCALES, *sorted(here - set(SCALES))])
    if not found:
        raise MissingDataError(
            "no results files",
            where=str(folder),
            expected=", ".join(f"{one.name}.{scale or 'SCALE'}.json" for one in asked),
            fix=f"stilts-artifact {asked[0].command} --results {folder}",
        )
    return found


def results_file(folder: Path, experiment: Experiment, scale: str | None = None) -> Path:
    """The results file of one experiment.

    Args:
        scale: as in :func:`results_files`; by default the one that is there.

    Raises:
        ConfigError, MissingDataError: as :func:`results_files`, or there are several.
    """
    found = results_files(folder, [experiment], scale)
    if len(found) > 1:
        names = ", ".join(path.name for path in found)
        raise ConfigError("which scale is meant?", got=names, fix="name one with --scale")
    return found[0]


def _scale_name(text: str) -> str:
    """What a scale is called that was asked for by name or by file."""
    return load_scale(text).name if text.endswith((".yaml", ".yml")) else text


def _scales_in(folder: Path, experiment: Experiment) -> list[str]:
    """The scales of which an experiment has results in a folder: those that ship, then others."""
    paths = sorted(folder.glob(f"{experiment.name}.*.json")) if folder.is_dir() else []
    found = [path.name.removeprefix(f"{experiment.name}.").removesuffix(".json") for path in paths]
    others = [name for name in found if re.fullmatch(SCALE_NAME, name) and name not in SCALES]
    return [*SCALES, *others]


def dump_results(results: Results) -> bytes:
    """The bytes of a results file: the same results give the same bytes."""
    document = results.model_dump(mode="json")
    for name in ("definition", "study"):
        if document[name] is None:
            del document[name]
    # Left out where there are none: most of four thousand cells have neither seeds nor a flag.
    for cell in document["cells"]:
        for name in ("language", "seeds", "flag"):
            if cell[name] is None:
                del cell[name]
    return dump_json(document)


def results_schema() -> dict[str, Any]:
    """The JSON schema (draft 2020-12) of results files, made of the classes that read them.

    It is necessary and not sufficient: that a row, a cell or a signature is the experiment's own,
    and no text holds what cannot be seen, only :func:`load_results` knows.
    """
    schema = Results.model_json_schema()
    # Every file has it, and one without is refused: the default is that of files in the making.
    schema["required"] = ["format", *schema["required"]]
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def load_results(path: Path) -> Results:
    """The results in a file, presented as the benchmark says; see :func:`as_defined`.

    Raises:
        DataError: the file cannot be read or is not strict JSON.
        ConfigError: an unknown or missing key or a value of the wrong type; a row, cell or seed
            that the experiment does not have, or has once only; a cell whose signature cannot be
            read, or is of another scale than the file; results of a rehearsal, which are none.
        IntegrityError: the results of another run than the file's name says.
    """
    results, _ = as_defined(parse_results(read_document(path), path))
    return results


def predictions_folder(path: Path, data: bytes) -> Path:
    """The folder of predictions and labels that a results file rests on.

    It lies beside the file, under its name; only where a run was killed while it published the two,
    it has a hidden name still.

    Args:
        data: the bytes of the file.
    """
    return folder_behind(hash_bytes(data).sha256, path.with_suffix(""))


def of_one_publication(path: Path, read: Callable[[bytes, Path], T]) -> T:
    """What is read of a results file and its folder, both of the same run.

    Args:
        read: takes the bytes of the file and the folder that it rests on.

    Raises:
        DataError, IntegrityError: as ``read``, of files that nobody replaces meanwhile.
    """
    while True:
        data = read_document(path)
        folder = predictions_folder(path, data)
        try:
            return read(data, folder)
        except (DataError, IntegrityError):
            # A run that published meanwhile has replaced one of the two under our hands.
            now = read_document(path)
            if (now, predictions_folder(path, now)) == (data, folder):
                raise


def parse_results(data: bytes, path: Path) -> Results:
    """The results in the bytes of a file, as they stand there; raises as :func:`load_results`."""
    where = str(path)
    document = parse_json(data, where)
    _refuse_other_format(document, where)
    try:
        # From the text: JSON has no enumerations and no tuples, and only there is strict validation
        # content with its texts and lists.
        results = Results.model_validate_json(data, strict=True)
    except ValidationError as error:
        first = error.errors()[0]
        place = _place(document, first["loc"])
        raise ConfigError(
            "not a results file", where=f"{where}: {place}", got=first["msg"]
        ) from error
    if path.name != f"{results.run_name}.json":
        raise IntegrityError(
            "the results of another run than the file's name says",
            where=where,
            got=f"{results.defined.title} at scale {results.scale}",
            expected=f"that in {results.run_name}.json, and here what the name says",
            fix=f"stilts-artifact {results.defined.command} --results {path.parent}",
        )
    refuse_rehearsal(results.scale, where)
    _check_places(results, where)
    for cell in results.cells:
        _check_signature(cell, results, where)
    return results


def as_defined(stored: Results) -> tuple[Results, list[str]]:
    """The results with everything that is shown of them as benchmark and scale say.

    Returns:
        The results, and where the file says otherwise.
    """
    scale = stored.run_scale
    rows = {row.row: row for row in stored.rows}
    chosen = rows[BEST].details if BEST in rows else {}
    due = row_records(stored.defined, stored.benchmark, rows, chosen)
    # Not a word more: what a file says of itself is shown nowhere.
    notes = (
        [] if stored.stamp == scale.stamp else [f"the file is stamped otherwise: {stored.stamp}"]
    )
    for row in due:
        said = rows[row.row]
        for name in ("title", "group", "details"):
            found, right = getattr(said, name), getattr(row, name)
            if found != right:
                notes.append(f"the file has another {name} of {row.row}: {found}")
    return stored.model_copy(update={"rows": due, "stamp": scale.stamp}), notes


def _check_places(results: Results, where: str) -> None:
    """Refuse what the experiment does not have, before anything is computed from it.

    Everything has one place, and the benchmark says which there are: so a file cannot be longer
    than the largest run.
    """
    _refuse_repetitions(results, where)
    if len(results.seeds) > MOST_SEEDS:
        raise ConfigError(
            "too many seeds",
            where=f"{where}: seeds",
            got=str(len(results.seeds)),
            expected=f"at most {MOST_SEEDS}",
        )
    benchmark = results.benchmark
    known = headings(results.defined, benchmark)
    targets = [task.name for task in results.defined.targets(benchmark)]
    for row in results.rows:
        _refuse_unknown("row", row.row, known, where)
        for target, chosen in row.details.items() if row.row == BEST else ():
            _refuse_unknown("target", target, targets, f"{where}: {BEST}")
            row_named(benchmark, chosen)
    places = dict(_places(results.defined, benchmark))
    for cell in results.cells:
        _refuse_unknown("row", cell.row, known, where)
        own = places.get(cell.row if results.defined.is_counted else cell.column, ())
        if (cell.column, cell.language) not in own:
            raise ConfigError("the table has no such cell", where=where, got=str(cell.key))


def _refuse_repetitions(results: Results, where: str) -> None:
    for kind, names in (
        ("row", [row.row for row in results.rows]),
        ("cell", [str(cell.key) for cell in results.cells]),
        ("seed", list(map(str, results.seeds))),
        ("input", [used.source for used in results.inputs]),
        ("file", [file.path for file in results.files]),
        ("claim", [claim.claim for claim in results.claims]),
    ):
        for name, count in Counter(names).most_common(1):
            if count > 1:
                raise ConfigError(f"a {kind} stands twice in the results", where=where, got=name)


def _places(
    experiment: Experiment, benchmark: Benchmark
) -> Iterator[tuple[str, Collection[tuple[str, str | None]]]]:
    """Every (column, language) that an experiment has cells at.

    By task where it is counted, whose rows tasks are; else by column.
    """
    if experiment.is_counted:
        for task in counted_tasks(benchmark):
            counted = {(str(split), code) for split, code in counted_places(task, benchmark)}
            yield task.name, {*counted, (LANGUAGES, None)}
        return
    for column in table_columns(benchmark, experiment):
        languages = () if column.is_average else column.languages(experiment)
        yield column.name, {(column.name, language) for language in (None, *languages)}


def _refuse_unknown(kind: str, got: str, known: Collection[str], where: str) -> None:
    if got not in known:
        raise unknown_name(kind, got, known, where)


def _refuse_other_format(document: Any, where: str) -> None:
    """Say of an older or newer file what it is, before its fields are found strange one by one."""
    found = document.get("format") if isinstance(document, dict) else None
    if (found == FORMAT and type(found) is int) or not isinstance(document, dict):
        return
    older = found is None and "table" in document
    raise ConfigError(
        "results file of another format",
        where=where,
        got="format 1, from before experiments had names" if older else f"format {found!r}",
        expected=f"format {FORMAT}",
        fix="reproduce it again with this version, or check it with the version that wrote it",
    )


def _place(document: Any, location: tuple[int | str, ...]) -> str:
    """Where pydantic found a fault; a cell is named, not numbered."""
    match location:
        case ("cells", int(number), *rest) if isinstance(document["cells"][number], dict):
            cell = document["cells"][number]
            names = [str(cell[part]) for part in ("row", "column", "language") if cell.get(part)]
            return ": ".join(["/".join(names), ".".join(map(str, rest))])
    return ".".join(map(str, location))


def read_signature(cell: CellRecord, where: str) -> Signature | None:
    """The signature of a cell, ``None`` for an expected cell that was never measured.

    Raises:
        ConfigError: it cannot be read.
    """
    if not cell.signature and cell.value is None:
        return None
    try:
        return Signature.parse(cell.signature)
    except ConfigError as error:
        place = f"{where}: {cell.key}"
        raise ConfigError(
            error.what, where=place, got=error.got, expected=error.expected
        ) from error


def _check_signature(cell: CellRecord, results: Results, where: str) -> None:
    signature = read_signature(cell, where)
    if signature is None:
        return
    place = f"{where}: {cell.key}"
    if signature.scale != results.scale:
        raise ConfigError(
            "cell of another scale", where=place, got=signature.scale, expected=results.scale
        )
    # In Table 1 a row is a task; in the others a column is, and recompute.py holds the signature
    # against it.
    if not results.defined.is_counted:
        return
    due: dict[str, object] = {"task": cell.row}
    if cell.language is not None:
        due |= {"split": cell.column, "languages": (cell.language,)}
    for name, expected in due.items():
        if (found := getattr(signature, name)) != expected:
            raise ConfigError(
                "signature of another cell", where=place, got=str(found), expected=str(expected)
            )


def disagreements(stored: Results, judged: Results) -> list[Disagreement]:
    """Cells, then claims, whose stored verdict is not the one just judged."""
    cells = {cell.key: cell for cell in judged.cells}
    claims = {claim.claim: claim for claim in judged.claims}
    found: list[Disagreement] = []
    # What the file leaves out stands in judged only: it says no verdict to disagree with.
    for cell in stored.cells:
        now = cells[cell.key]
        if now.verdict is not cell.verdict:
            found.append(Disagreement(cell.key, cell.verdict, now.verdict, now.reason))
    said = {claim.claim for claim in stored.claims}
    found += [
        Disagreement(claim.claim, Verdict.NOT_RUN, claim.verdict, "the file leaves this claim out")
        for claim in judged.claims
        if claim.claim not in said and claim.verdict in _DECIDED
    ]
    for claim in stored.claims:
        judgement = claims.get(claim.claim)
        if judgement is None:
            found.append(
                Disagreement(
                    claim.claim, claim.verdict, Verdict.NOT_CHECKABLE, "there is no such claim"
                )
            )
        elif judgement.verdict is not claim.verdict:
            found.append(
                Disagreement(claim.claim, claim.verdict, judgement.verdict, judgement.reason)
            )
    return found
