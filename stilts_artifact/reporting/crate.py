"""A run as a Workflow Run RO-Crate: all that is needed to judge it again elsewhere, offline.

Profile Workflow Run Crate 0.5 (https://w3id.org/ro/wfrun/workflow/0.5): the workflow is the list of
commands that were run, and each results file is what one CreateAction made. Actions carry no times
and no person: nothing in the results says when or by whom, for equal runs give equal files. How
long they took stands in a file beside each.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from stilts_artifact import __version__
from stilts_artifact.checking.results import FileRecord, InputRecord, Results
from stilts_artifact.checking.sums import expected_root
from stilts_artifact.checking.usage import usage_path
from stilts_artifact.errors import ConfigError
from stilts_artifact.files import files_below
from stilts_artifact.reporting.packing import MANIFEST, Member, pack
from stilts_artifact.reporting.page import PAGE, report_files
from stilts_artifact.reporting.runs import Run

if TYPE_CHECKING:
    from rocrate.model import ContextEntity
    from rocrate.rocrate import ROCrate

RESULTS = "results"
EXPECTED = "expected_results"
WORKFLOW = "workflow.sh"
README = "README.md"
METADATA = "ro-crate-metadata.json"

_PROFILES = {
    "Process Run Crate": "https://w3id.org/ro/wfrun/process/0.5",
    "Workflow Run Crate": "https://w3id.org/ro/wfrun/workflow/0.5",
    "Workflow RO-Crate": "https://w3id.org/workflowhub/workflow-ro-crate/1.0",
}
_ABOUT = "Results, predictions and verdicts of stilts-artifact."
_TERMS = "https://w3id.org/ro/terms/workflow-run/context"
_BASH = "https://www.gnu.org/software/bash/"
_WORKFLOW_PROFILE = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
_HOMES = {
    "python": "https://www.python.org/",
    "numpy": "https://numpy.org/",
    "torch": "https://pytorch.org/",
    "transformers": "https://huggingface.co/docs/transformers",
    "datasets": "https://huggingface.co/docs/datasets",
    "sentencepiece": "https://github.com/google/sentencepiece",
    "faiss-cpu": "https://faiss.ai/",
    "faiss-gpu": "https://faiss.ai/",
    "seqeval": "https://github.com/chakki-works/seqeval",
}
"""Software of a run's environment -> its home page."""

_LICENCE = "https://www.apache.org/licenses/LICENSE-2.0"


def write_crate(path: Path, folder: Path, runs: Sequence[Run], *, labels: bool = False) -> int:
    """Pack the runs of a results folder.

    Label files of real data hold what others published under their own terms. They are left out
    unless asked for; who has the data can give their own to ``verify``.

    Args:
        folder: where the results files lie.
        labels: pack label files of others, too.

    Returns:
        Number of label files left out.

    Raises:
        IntegrityError: a file is not the one that the results rest on.
        ResourceError: the crate cannot be written.
    """
    report = report_files(runs)
    listed = [(run, record) for run in runs for record in run.results.files]
    packed = [one for one in listed if labels or not is_third_party(*one)]
    members = [
        *(Member(name, data) for name, data in report.items()),
        Member(README, readme(runs)),
        Member(WORKFLOW, workflow(runs)),
        *(Member(f"{RESULTS}/{run.file}", folder / run.file, run.sha256) for run in runs),
        *(Member(_usage_name(run), run.usage.dump()) for run in runs if run.usage),
        *(
            Member(f"{RESULTS}/{record.path}", _file(run, record), record.sha256)
            for run, record in packed
        ),
        *(Member(name, file) for name, file in expected_files()),
    ]
    pack(path, [*members, Member(METADATA, metadata(runs, packing_day(), report))])
    return len(listed) - len(packed)


def _usage_name(run: Run) -> str:
    return usage_path(PurePosixPath(RESULTS, run.file)).as_posix()


def packing_day() -> str:
    """The day of packing, ``YYYY-MM-DD``: that of SOURCE_DATE_EPOCH where it is set.

    It is the one date that can be vouched for: results files hold none, for equal runs give equal
    files, and the times of files are those of whoever copied them last. With SOURCE_DATE_EPOCH
    (https://reproducible-builds.org/specs/source-date-epoch) the same files give the same crate on
    any day.

    Raises:
        ConfigError: SOURCE_DATE_EPOCH is no time.
    """
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    try:
        moment = datetime.now(UTC) if epoch is None else datetime.fromtimestamp(int(epoch), UTC)
    except (ValueError, OverflowError, OSError) as error:
        what, expected = "not a time", "seconds since 1970-01-01"
        raise ConfigError(what, where="SOURCE_DATE_EPOCH", got=epoch, expected=expected) from error
    return moment.date().isoformat()


def _file(run: Run, record: FileRecord) -> Path:
    """Where a file lies that the results list."""
    return run.folder / record.path.removeprefix(f"{run.results.run_name}/")


def is_third_party(run: Run, record: FileRecord) -> bool:
    """Whether a file holds labels that others published; those of the mini world are generated.

    Whatever the scale: somebody's own is no evidence, and its labels may be others' all the same.
    """
    return run.results.run_scale.benchmark != "mini" and is_label(record.path)


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
    """The commands that the runs were, as a shell script."""
    commands = [_command(run.results, only) for run in runs for only in run.results.asked]
    return "\n".join(
        ["#!/usr/bin/env bash", "set -u", *commands, "stilts-artifact report", ""]
    ).encode()


def _command(results: Results, only: Sequence[str]) -> str:
    """One run as a line of a shell: all of it that decides what is measured."""
    words = ["stilts-artifact", *results.defined.command.split()]
    words += ["--scale", results.scale]
    for pattern in only:
        words += ["--only", pattern]
    # A pattern's star is for us, not for the shell.
    return shlex.join(words)


def readme(runs: Sequence[Run]) -> bytes:
    """What is in a crate, for whoever opens it."""
    return f"""\
# {_title(runs)}

{_ABOUT}

- `{PAGE}` shows what was measured, what was reported, and the verdicts; beside it lie its tables as
  CSV and LaTeX.
- `{RESULTS}/` has the results files and, beside each, the predictions that its scores come from
  and what the run took, if that was noted.
- `{EXPECTED}/` has the values that these were held against.
- `{WORKFLOW}` has the commands that were run.

`stilts-artifact verify CRATE.zip` computes and judges every cell again;
`sha256sum -c {MANIFEST}` holds every file of the unpacked crate against its hash.
""".encode()


def _title(runs: Sequence[Run]) -> str:
    tables = ", ".join(f"{run.results.defined.title} ({run.results.scale})" for run in runs)
    return f"Reproduction of arXiv 2005.13013v2: {tables}"


def expected_files() -> Iterator[tuple[str, Path]]:
    """The expected values that the verdicts were judged by: name in the crate, and file."""
    root = expected_root()
    for path in sorted(files_below(root)):
        if path.is_file() and not path.name.startswith("."):
            yield f"{EXPECTED}/{path.relative_to(root).as_posix()}", path


def metadata(runs: Sequence[Run], date: str, report: Iterable[str] = (PAGE,)) -> bytes:
    """``ro-crate-metadata.json``.

    Args:
        date: on which the crate is packed, ``YYYY-MM-DD``.
        report: the page, and the tables beside it.
    """
    from rocrate.rocrate import ROCrate

    crate = ROCrate(version="1.1")
    crate.metadata.extra_contexts.append(_TERMS)
    crate.name = _title(runs)
    crate.description = (
        f"{_ABOUT} Verify with: stilts-artifact verify CRATE.zip. Hashes of all files: {MANIFEST}."
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
    script = _add_workflow(crate, runs)
    page = _add_file(crate, PAGE, "Report", "text/html")
    for name in (one for one in report if one != PAGE):
        encoding = "text/csv" if name.endswith(".csv") else "application/x-tex"
        _add_file(crate, name, f"Table of the report: {Path(name).stem}", encoding)
    _add_file(crate, MANIFEST, "Hashes of all files", "text/plain")
    _add_file(crate, README, "What is in this crate", "text/markdown")["about"] = crate.root_dataset
    crate.add_dataset(dest_path=f"{EXPECTED}/", properties={"name": "Expected values and claims"})
    crate.root_dataset["mentions"] = [_add_action(crate, script, run) for run in runs]
    page["about"] = crate.root_dataset["mentions"]
    document = crate.metadata.generate()
    document["@graph"] = [_plain(entity) for entity in document["@graph"]]
    return (json.dumps(document, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def _plain(entity: dict[str, Any]) -> dict[str, Any]:
    """An entity in which a list of one value is that value, as RO-Crate 1.1 recommends."""
    return {
        name: value[0] if isinstance(value, list) and len(value) == 1 else value
        for name, value in entity.items()
    }


def _add_file(crate: ROCrate, path: str, name: str, encoding: str, **properties: str) -> Any:
    described = {"name": name, "encodingFormat": encoding, **properties}
    return crate.add_file(dest_path=path, properties=described)


def _add_workflow(crate: ROCrate, runs: Sequence[Run]) -> Any:
    """The main entity: the script, the language it is in, and the software that it calls."""
    bash = crate.add(_new(crate, _BASH, "ComputerLanguage", name="Bash", url={"@id": _BASH}))
    from rocrate.model import ComputationalWorkflow

    properties = {
        "name": "Commands of the runs",
        "encodingFormat": "text/x-shellscript",
        "conformsTo": {"@id": _WORKFLOW_PROFILE},
        "version": __version__,
    }
    script = crate.add(ComputationalWorkflow(crate, dest_path=WORKFLOW, properties=properties))
    script["programmingLanguage"] = bash
    used = [_software(crate, *one) for run in runs for one in _installed(run.results)]
    script["softwareRequirements"] = list({entity.id: entity for entity in used}.values())
    crate.mainEntity = script
    return script


def _installed(results: Results) -> Iterator[tuple[str, str]]:
    """Name and version of the software behind a run; what it ran on is no software."""
    for name, version in results.environment.items():
        if name != "platform" and version != "not installed":
            yield name, version


def _software(crate: ROCrate, name: str, version: str) -> ContextEntity:
    home = _HOMES.get(name)
    properties: dict[str, Any] = {"name": name, "softwareVersion": version}
    if home is not None:
        properties["url"] = {"@id": home}
    # One entity for each version: runs of a crate may differ.
    identifier = f"{home or ''}#{quote(name)}-{quote(version)}"
    return _entity(crate, identifier, "SoftwareApplication", **properties)


def _add_action(crate: ROCrate, script: Any, run: Run) -> ContextEntity:
    """The run of one experiment: what it read, with what, and what it made."""
    results, name = run.results, run.results.run_name
    described = f"Results: {results.title}, {results.stamp}: {results.verdict}"
    made = [
        _add_file(crate, f"{RESULTS}/{run.file}", described, "application/json", sha256=run.sha256)
    ]
    if run.usage:
        took = f"What it took: {results.title}"
        made.append(_add_file(crate, _usage_name(run), took, "application/json"))
    # With labels alone, all of them left out, there is no folder.
    if not all(is_label(record.path) for record in results.files):
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
        # Text: the profile's own form, where schema.org would have a reference.
        actionStatus="http://schema.org/CompletedActionStatus",
    )
    action["instrument"] = script
    action["result"] = made
    # The profile knows no empty lists.
    if results.inputs:
        action["object"] = [_input(crate, record, run) for record in results.inputs]
    return action


def _input(crate: ROCrate, record: InputRecord, run: Run) -> ContextEntity:
    source = run.results.benchmark.sources.get(record.source.partition("!")[0])
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
