"""A run as a Workflow Run RO-Crate: all that is needed to judge it again elsewhere, offline.

Profile Workflow Run Crate 0.5 (https://w3id.org/ro/wfrun/workflow/0.5): the workflow is the list of
commands, and each results file is what one CreateAction made. Actions carry no times and no person:
equal runs give equal crates.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from stilts_artifact import __version__
from stilts_artifact.benchmark import load_benchmark
from stilts_artifact.checking.results import FileRecord, InputRecord
from stilts_artifact.checking.sums import expected_root
from stilts_artifact.config.load import load_scale
from stilts_artifact.reporting.packing import MANIFEST, Member, pack
from stilts_artifact.reporting.runs import Run

if TYPE_CHECKING:
    from rocrate.model import ContextEntity
    from rocrate.rocrate import ROCrate

RESULTS = "results"
EXPECTED = "expected_results"
PAGE = "report.html"
WORKFLOW = "workflow.sh"
METADATA = "ro-crate-metadata.json"

_PROFILES = {
    "Process Run Crate": "https://w3id.org/ro/wfrun/process/0.5",
    "Workflow Run Crate": "https://w3id.org/ro/wfrun/workflow/0.5",
    "Workflow RO-Crate": "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
}
_TERMS = "https://w3id.org/ro/terms/workflow-run/context"
_BASH = "https://www.gnu.org/software/bash/"
_LICENCE = "https://www.apache.org/licenses/LICENSE-2.0"


def write_crate(
    path: Path, folder: Path, runs: Sequence[Run], page: bytes, *, labels: bool = False
) -> int:
    """Pack the runs of a results folder.

    Label files of real data hold what others published under their own terms. They are left out
    unless asked for; who has the data can give their own to ``verify``.

    Args:
        folder: where the results files lie.
        page: the report on these runs.
        labels: pack label files of others, too.

    Returns:
        Number of label files left out.

    Raises:
        IntegrityError: a file is not the one that the results rest on.
        ResourceError: the crate cannot be written.
    """
    listed = [(run, record) for run in runs for record in run.results.files]
    packed = [one for one in listed if labels or not is_third_party(*one)]
    members = [
        Member(PAGE, page),
        Member(WORKFLOW, workflow(runs)),
        *(Member(f"{RESULTS}/{run.file}", folder / run.file, run.sha256) for run in runs),
        *(
            Member(f"{RESULTS}/{record.path}", _file(run, record), record.sha256)
            for run, record in packed
        ),
        *(Member(name, file) for name, file in expected_files()),
    ]
    # Not the day of packing: the same files packed twice give the same crate.
    written = max((folder / run.file).stat().st_mtime for run in runs)
    date = datetime.fromtimestamp(written, UTC).date().isoformat()
    pack(path, [*members, Member(METADATA, metadata(runs, date))])
    return len(listed) - len(packed)


def _file(run: Run, record: FileRecord) -> Path:
    """Where a file lies that the results list."""
    return run.folder / record.path.removeprefix(f"{run.results.run_name}/")


def is_third_party(run: Run, record: FileRecord) -> bool:
    """Whether a file holds labels that others published; those of the mini world are generated."""
    return load_scale(run.results.scale).evidence and is_label(record.path)


def is_label(path: str) -> bool:
    """Whether a file of a run holds labels.

    Example:
        >>> is_label("table2.mini/labels/xnli/dev-de.tsv")
        True
        >>> is_label("table2.mini/predictions/x/labels.tsv")
        False
    """
    return path.split("/")[1:2] == ["labels"]


def workflow(runs: Sequence[Run]) -> bytes:
    """The commands that make such runs, as a shell script."""
    commands = [
        f"stilts-artifact reproduce {run.results.defined.command} --scale {run.results.scale}"
        for run in runs
    ]
    return "\n".join(
        ["#!/usr/bin/env bash", "set -u", *commands, "stilts-artifact report", ""]
    ).encode()


def expected_files() -> Iterator[tuple[str, Path]]:
    """The expected values that the verdicts were judged by: name in the crate, and file."""
    root = expected_root()
    for path in sorted(root.rglob("*")):
        if path.is_file() and not path.name.startswith("."):
            yield f"{EXPECTED}/{path.relative_to(root).as_posix()}", path


def metadata(runs: Sequence[Run], date: str) -> bytes:
    """``ro-crate-metadata.json``.

    Args:
        date: on which the newest of the results was written, ``YYYY-MM-DD``.
    """
    from rocrate.rocrate import ROCrate

    crate = ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(_TERMS)
    tables = ", ".join(f"{run.results.defined.title} ({run.results.scale})" for run in runs)
    crate.name = f"Reproduction of arXiv 2005.13013v2: {tables}"
    crate.description = (
        "Results, predictions and verdicts of stilts-artifact. "
        "Verify with: stilts-artifact verify CRATE.zip. "
        f"Hashes of all files: {MANIFEST}."
    )
    crate.datePublished = date
    labels = "Label files, if any are packed, keep the licences of their data sets."
    crate.license = _entity(
        crate, _LICENCE, "CreativeWork", name="Apache License 2.0", description=labels
    )
    profiles = [
        _entity(crate, url, "CreativeWork", name=name, version=url.rpartition("/")[2])
        for name, url in _PROFILES.items()
    ]
    crate.root_dataset["conformsTo"] = profiles
    crate.metadata["conformsTo"] = [
        {"@id": crate.metadata.profile},
        {"@id": _PROFILES["Workflow RO-Crate"]},
    ]
    script = _add_workflow(crate)
    page = crate.add_file(
        dest_path=PAGE, properties={"name": "Report", "encodingFormat": "text/html"}
    )
    crate.add_file(
        dest_path=MANIFEST,
        properties={"name": "Hashes of all files", "encodingFormat": "text/plain"},
    )
    crate.add_dataset(dest_path=f"{EXPECTED}/", properties={"name": "Expected values and claims"})
    crate.root_dataset["mentions"] = [_add_action(crate, script, run) for run in runs]
    page["about"] = crate.root_dataset["mentions"]
    return (
        json.dumps(crate.metadata.generate(), indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    ).encode()


def _add_workflow(crate: ROCrate) -> Any:
    """The main entity: the script, the language it is in, and the software that it calls."""
    bash = crate.add(_new(crate, _BASH, "ComputerLanguage", name="Bash", url={"@id": _BASH}))
    from rocrate.model import ComputationalWorkflow

    properties = {"name": "Commands of the runs", "encodingFormat": "text/x-shellscript"}
    script = crate.add(ComputationalWorkflow(crate, dest_path=WORKFLOW, properties=properties))
    script["programmingLanguage"] = bash
    script["softwareRequirements"] = _entity(
        crate,
        "#stilts-artifact",
        "SoftwareApplication",
        name="stilts-artifact",
        softwareVersion=__version__,
    )
    crate.mainEntity = script
    return script


def _add_action(crate: ROCrate, script: Any, run: Run) -> ContextEntity:
    """The run of one experiment: what it read, with what, and what it made."""
    results, name = run.results, run.results.run_name
    made = [
        crate.add_file(
            dest_path=f"{RESULTS}/{run.file}",
            properties={
                "name": f"Results: {results.defined.title}, {results.stamp}: {results.verdict}",
                "encodingFormat": "application/json",
                "sha256": run.sha256,
            },
        )
    ]
    if results.files:
        about = {
            "name": "Predictions and labels",
            "description": f"Hashes: {run.file} and {MANIFEST}.",
        }
        made.append(crate.add_dataset(dest_path=f"{RESULTS}/{name}/", properties=about))
    action = _entity(
        crate,
        f"#run-{name}",
        "CreateAction",
        name=f"{results.defined.title} at scale {results.scale}",
        description=results.scale_reason,
        actionStatus={"@id": "http://schema.org/CompletedActionStatus"},
    )
    action["instrument"] = script
    action["result"] = made
    # The profile knows no empty lists.
    if results.inputs:
        action["object"] = [_input(crate, record, run) for record in results.inputs]
    if results.environment:
        action["softwareRequirements"] = [
            _package(crate, name, version) for name, version in results.environment.items()
        ]
    return action


def _package(crate: ROCrate, name: str, version: str) -> ContextEntity:
    return _entity(
        crate,
        f"#environment-{quote(name)}-{quote(version)}",
        "SoftwareApplication",
        name=name,
        softwareVersion=version,
    )


def _input(crate: ROCrate, record: InputRecord, run: Run) -> ContextEntity:
    source = load_benchmark(load_scale(run.results.scale).benchmark).sources.get(
        record.source.partition("!")[0]
    )
    urls = [url for url in (source.urls if source else ()) if url.startswith("http")]
    properties: dict[str, Any] = {
        "name": record.source,
        "sha256": record.sha256,
        "contentSize": str(record.bytes),
    }
    if source is not None:
        properties["license"] = source.licence
    if urls:
        properties["url"] = urls[0]
    return _entity(crate, f"#input-{quote(record.source)}", "CreativeWork", **properties)


def _entity(crate: ROCrate, identifier: str, kind: str, **properties: Any) -> ContextEntity:
    """The contextual entity with this identifier, added if there is none yet."""
    known = crate.dereference(identifier)
    return known if known is not None else crate.add(_new(crate, identifier, kind, **properties))


def _new(crate: ROCrate, identifier: str, kind: str, **properties: Any) -> ContextEntity:
    from rocrate.model import ContextEntity

    return ContextEntity(crate, identifier, properties={"@type": kind, **properties})
