"""Experiments computed again from the files of a results folder, every hash verified on the way.

No number of the results file is believed: it is compared with what the predictions give.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from stilts_artifact.benchmark.experiments import Experiment
from stilts_artifact.checking.companions import verify_companions
from stilts_artifact.checking.results import CellRecord, FileRecord, Results, read_signature
from stilts_artifact.documents import read_document
from stilts_artifact.domain.cells import CellKey
from stilts_artifact.domain.signature import SHORT_KEYS, Signature, require_comparable
from stilts_artifact.domain.tasks import Benchmark, Split
from stilts_artifact.errors import ConfigError, IntegrityError
from stilts_artifact.files import hash_bytes, plain_files
from stilts_artifact.forms import form_of
from stilts_artifact.metrics import METRIC_VERSION
from stilts_artifact.metrics.tables import CellValue, Column, table_columns, table_values

# In points. The same files give the same sums, but their order in a mean may change with the
# version.
_SAME = 1e-6

# Of an average over tasks and of what it averages: the encoder and how scores are defined. In the
# rest tasks differ; seeds are held against the run's, cell by cell.
_SHARED_BY_TASKS = (
    "encoder",
    "revision",
    "weights",
    "checkpoint",
    "metric_version",
    "scale",
    "version",
)
_OF_A_TASK = tuple(name for name in SHORT_KEYS if name not in _SHARED_BY_TASKS)


@dataclass(frozen=True, slots=True)
class Recomputation:
    """What the files say.

    Args:
        values: every cell of the file's rows.
        misfits: cells whose signature is not that of their place, and how.
    """

    values: Mapping[CellKey, CellValue]
    misfits: Mapping[CellKey, str]


def recompute(
    results: Results, folder: Path, benchmark: Benchmark, pins: Mapping[str, str] | None
) -> Recomputation:
    """Compute every cell of a scored experiment from its prediction and label files.

    Args:
        folder: of its predictions and labels.
        pins: sha256 of the benchmark's label files, as
            :func:`stilts_artifact.checking.labels.load_labels` has them.

    Raises:
        IntegrityError: a file is missing, altered or surplus, or labels are not the benchmark's.
        DataError: a file that cannot be scored.
        ConfigError: a cell that the table does not have, or a signature that cannot be read.
    """
    if not results.seeds:
        raise ConfigError(
            "results without seeds",
            where=str(folder),
            got="seeds: []",
            expected="at least one seed",
        )
    name = results.run_name
    files = VerifiedFiles(folder, name, results.files)
    _verify_labels(results, name, benchmark, pins or {})
    # Cells of rows that were not run are there as NOT_RUN, because a value is expected of them.
    rows = list(
        dict.fromkeys(
            [row.row for row in results.rows]
            + [cell.row for cell in results.cells if cell.value is None]
        )
    )
    values = table_values(folder, benchmark, results.defined, rows, results.seeds, files.read)
    verify_companions(results, folder, benchmark, files.read)
    files.confirm_labels()
    files.verify_rest()
    for cell in results.cells:
        if cell.key not in values:
            raise ConfigError("the table has no such cell", where=f"{name}.json: {cell.key}")
    return Recomputation(values, find_misfits(results, benchmark, values))


def verify_scores(
    results: Results,
    path: Path,
    folder: Path,
    benchmark: Benchmark,
    pins: Mapping[str, str] | None = None,
) -> Recomputation:
    """Compute every cell again, and refuse results that say something else of any.

    Args:
        path: of the results file, for messages.
        folder: of its predictions and labels.
        pins: as :func:`recompute` takes them; none where nothing is known of the labels beforehand.

    Raises:
        IntegrityError: a cell or a file is not what the predictions give or the file lists.
        ConfigError: a signature is of another cell.
    """
    found = recompute(results, folder, benchmark, pins)
    for cell in results.cells:
        altered = difference(cell, found.values[cell.key])
        if altered is not None:
            raise IntegrityError(
                "a cell that its predictions do not give", where=f"{path}: {cell.key}", got=altered
            )
        if cell.key in found.misfits:
            raise ConfigError(
                "a cell with a wrong signature",
                where=f"{path}: {cell.key}",
                got=found.misfits[cell.key],
            )
    return found


def find_misfits(
    results: Results, benchmark: Benchmark, values: Mapping[CellKey, CellValue]
) -> Mapping[CellKey, str]:
    """Cells whose signature is not that of their place and run, and how.

    Args:
        values: what the files give; a mean is of the languages that these have.

    Raises:
        ConfigError: a signature that cannot be read.
    """
    columns = {column.name: column for column in table_columns(benchmark, results.defined)}
    signatures = {
        cell.key: signature
        for cell in results.cells
        if (signature := read_signature(cell, f"{results.run_name}.json")) is not None
    }
    languages = {key: values[key].languages for key in signatures if key in values}
    misplaced = dict(_misplaced(results, columns, signatures, languages))
    # What is in the wrong place is named itself, and not once more at each mean that has it.
    placed = {
        cell.key: signatures[cell.key]
        for cell in results.cells
        if cell.value is not None and cell.key not in misplaced
    }
    return {**misplaced, **dict(_unlike_parts(columns, placed))}


def _misplaced(
    results: Results,
    columns: Mapping[str, Column],
    signatures: Mapping[CellKey, Signature],
    languages: Mapping[CellKey, tuple[str, ...]],
) -> Iterator[tuple[CellKey, str]]:
    """Cells whose signature is that of another task, language, seed, metric or split."""
    for key, signature in signatures.items():
        column = columns[key.column]
        # What has no value is of all its languages.
        due_languages = languages.get(key) or column.languages(results.defined)
        if key.language is not None:
            due_languages = (key.language,)
        for field, due in _due(key.row, signature, column, results, due_languages).items():
            found = getattr(signature, field)
            if found != due:
                reason = f"{field} {_shown(found)}, not {_shown(due)}"
                yield key, f"its signature is of another cell or run: {reason}"
                break


def _unlike_parts(
    columns: Mapping[str, Column], measured: Mapping[CellKey, Signature]
) -> Iterator[tuple[CellKey, str]]:
    """Means over languages and averages over tasks that are of unlike numbers."""
    languages: defaultdict[CellKey, list[Signature]] = defaultdict(list)
    for key, signature in measured.items():
        if key.language is not None:
            languages[CellKey(key.row, key.column)].append(signature)
    for key, signature in measured.items():
        if key.language is not None:
            continue
        column = columns[key.column]
        tasks = [CellKey(key.row, task.name) for task in column.tasks]
        averaged, varying = (
            ([measured[task] for task in tasks if task in measured], _OF_A_TASK)
            if column.is_average
            else (languages[key], ("languages",))
        )
        refusal = _refusal([signature, *averaged], varying)
        if refusal is not None:
            yield key, f"it is no mean of like numbers: {refusal}"


def _refusal(signatures: Sequence[Signature], varying: Sequence[str]) -> str | None:
    """Why numbers with these signatures must not be averaged, ``None`` if they may be."""
    try:
        require_comparable(signatures, varying=varying)
    except ConfigError as error:
        return f"{error.what} ({error.got}; {error.expected})"
    return None


def difference(cell: CellRecord, value: CellValue) -> str | None:
    """How a cell of the file differs from what its predictions give, ``None`` if it does not."""
    if value.value is None:
        return None  # there is nothing to compare: the cell is NOT_RUN, whatever the file says
    if cell.value is None:
        return f"the file has no value; its predictions give {value.value:.6g}"
    if abs(cell.value - value.value) > _SAME:
        return f"the file says {cell.value:.6g}; its predictions give {value.value:.6g}"
    stored, found = cell.seeds or [cell.value], value.seeds
    if len(stored) != len(found) or any(
        abs(a - b) > _SAME for a, b in zip(stored, found, strict=True)
    ):
        shown = " ".join(f"{number:.6g}" for number in found)
        said = " ".join(f"{number:.6g}" for number in stored)
        return f"the file says {said} by seed; its predictions give {shown}"
    return None


class VerifiedFiles:
    """The files of a run: exactly those listed, each with the bytes that its hash promises.

    Args:
        folder: where they lie.
        name: of the run, under which the results file lists them: ``{name}/labels/...``.

    Raises:
        IntegrityError: a file that is listed and absent, or present and not listed; or not a plain
            file.
    """

    def __init__(self, folder: Path, name: str, records: list[FileRecord]) -> None:
        self._folder, self._name = folder, name
        self._records = {record.path: record for record in records}
        self._unread = set(self._records)
        # Dot files (``.DS_Store``) are nobody's.
        present = {
            self._listed(path)
            for path in plain_files(folder).values()
            if not path.name.startswith(".")
        }
        missing, surplus = (
            sorted(self._records.keys() - present),
            sorted(present - self._records.keys()),
        )
        experiment = name.partition(".")[0]
        root = folder.parent
        fix = f"run stilts-artifact reproduce again for {experiment}, with --results {root}"
        for fault, paths in (("missing", missing), ("that the results do not list", surplus)):
            if paths:
                more = f" and {len(paths) - 1} more" if len(paths) > 1 else ""
                where = f"{self._path(paths[0])}{more}"
                raise IntegrityError(f"a file {fault}", where=where, fix=fix)

    def read(self, path: Path) -> bytes:
        """The verified bytes of a file.

        Raises:
            FileNotFoundError: no such file is listed.
            IntegrityError: its bytes are others.
        """
        name = self._listed(path)
        record = self._records.get(name)
        if record is None:
            raise FileNotFoundError(name)
        data = read_document(path)
        # The very bytes that are scored: opened a second time, the file may have changed.
        found = hash_bytes(data)
        if (found.sha256, found.bytes) != (record.sha256, record.bytes):
            raise IntegrityError(
                "a file that is not the one the results rest on",
                where=str(path),
                got=f"{found.bytes} bytes, sha256 {found.sha256}",
                expected=f"{record.bytes} bytes, sha256 {record.sha256}",
                fix="restore the file, or reproduce the table again",
            )
        self._unread.discard(name)
        return data

    def read_listed(self, name: str) -> bytes:
        """The verified bytes of a file, by its path below the folder.

        Raises:
            IntegrityError: it is not listed, or its bytes are others.
        """
        try:
            return self.read(self._folder / name)
        except FileNotFoundError as error:
            raise IntegrityError(
                "a file that the results do not list", where=str(self._folder / name)
            ) from error

    def confirm_labels(self) -> None:
        """Verify the labels once more: whoever parsed them has opened them anew.

        Raises:
            IntegrityError: one was changed meanwhile.
        """
        for name in sorted(self._records.keys() - self._unread):
            if name.startswith(f"{self._name}/labels/"):
                self.read(self._path(name))

    def verify_rest(self) -> None:
        """Verify what no cell was computed from: a listed file is never taken on trust."""
        for name in sorted(self._unread):
            self.read(self._path(name))

    def _listed(self, path: Path) -> str:
        """How the results file calls a file of the folder."""
        return f"{self._name}/{path.relative_to(self._folder).as_posix()}"

    def _path(self, listed: str) -> Path:
        """Where a file lies that the results file lists."""
        return self._folder / listed.removeprefix(f"{self._name}/")


def _verify_labels(
    results: Results, name: str, benchmark: Benchmark, pins: Mapping[str, str]
) -> None:
    """Hold the labels against the benchmark's; any others could make any predictions look right.

    Those whose hash is not recorded pass here: what rests on them is INCONCLUSIVE
    (:mod:`stilts_artifact.checking.foundation`).
    """
    prefix = f"{name}/labels/"
    known = set(_label_files(results.defined, benchmark))
    for record in results.files:
        if not record.path.startswith(prefix):
            continue
        file = record.path.removeprefix(prefix)
        pin = pins.get(file)
        if file not in known or pin not in (None, record.sha256):
            raise IntegrityError(
                "labels that are not the benchmark's",
                where=record.path,
                got=f"sha256 {record.sha256}",
                expected=f"sha256 {pin}" if pin else "a label file of the benchmark",
            )


def _label_files(experiment: Experiment, benchmark: Benchmark) -> Iterator[str]:
    """Names of every label file that an experiment is scored against."""
    for task in experiment.targets(benchmark):
        split = experiment.scored_split(task)
        places = [(split, language) for language in task.languages_of(split)]
        places += [(Split.DEV, language) for language in experiment.development(task)]
        for own, language in places:
            yield form_of(task).file(Path(), task, language, own).as_posix()


def _due(
    row: str, signature: Signature, column: Column, results: Results, languages: tuple[str, ...]
) -> Mapping[str, object]:
    """What a cell's place and run say of its signature."""
    task = column.tasks[0]
    due: dict[str, object] = {
        "task": column.name if column.is_average else task.name,
        "languages": languages,
        "seeds": tuple(sorted(results.seeds)),
        "metric": column.metric_name,
        "metric_version": METRIC_VERSION,
    }
    sizes = {own.name: own.encoder for own in results.defined.rows(results.benchmark)}
    if len(set(sizes.values())) > 1:
        # Rows of two encoders: a number of the one must not stand in for one of the other.
        encoder = results.run_scale.encoder_of(sizes[row])
        due["encoder"] = None if encoder is None else encoder.label
    if not column.is_average:
        due["split"] = str(results.defined.scored_split(task))
    if column.is_untrained(row) and signature.seeds is None:
        del due["seeds"]
    return due


def _shown(value: object) -> str:
    return "+".join(map(str, value)) if isinstance(value, tuple) else str(value)
