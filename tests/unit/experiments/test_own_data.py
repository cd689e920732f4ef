"""Own data on the way from a folder to steps: which files, and what they change."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from stilts_artifact.benchmark.experiments import EXPERIMENTS, row_named
from stilts_artifact.config.load import benchmark_of, load_scale, varied
from stilts_artifact.errors import ConfigError
from stilts_artifact.experiments.planning import unread_own_data
from stilts_artifact.experiments.session import Machine, Session
from stilts_artifact.experiments.setup import Choices, open_session, own_files
from stilts_artifact.experiments.steps import StepBuilder
from stilts_artifact.pipeline.kinds import KINDS
from stilts_artifact.pipeline.step import Graph

TABLE2 = EXPERIMENTS["table2"]
PAIR = "a\tb\tneutral\n"


def folder_of(path: Path, files: Mapping[str, str]) -> Path:
    path.mkdir(parents=True)
    for name, text in files.items():
        (path / name).write_text(text)
    return path


def opened(
    place: Path, files: Mapping[str, str], experiment: str = "table2", *only: str
) -> Session:
    folder = folder_of(place / "own", files)
    choices = Choices("mini", only, own_data=folder)
    machine = Machine(place / "store")
    return open_session(EXPERIMENTS[experiment], choices, machine, place / "results")


def keys(session: Session, row: str, target: str) -> dict[str, str]:
    """Kind -> key of the steps behind a row's cells of a target; of one kind all together."""
    builder, benchmark = StepBuilder.of(session), session.benchmark
    task = benchmark.tasks[target]
    languages = task.languages_of(TABLE2.scored_split(task))
    step = builder.predictions(row_named(benchmark, row), 1, task, TABLE2, languages)
    labels = builder.labels(task, TABLE2, languages)
    found: dict[str, str] = {}
    for keyed in Graph([step, labels], KINDS).steps.values():
        found[keyed.kind] = found.get(keyed.kind, "") + keyed.key
    return found


def test_names_travel_in_the_scale_and_the_folder_among_the_data(tmp_path: Path) -> None:
    session = opened(tmp_path, {"xnli.dev-qaa.tsv": PAIR, "mnli.train-qen.tsv": PAIR})
    assert session.scale.own_data == ("mnli.train-qen.tsv", "xnli.dev-qaa.tsv")
    assert (session.scale.name, session.scale.evidence) == ("mini-own", False)
    assert session.scale.expected == ()
    assert session.benchmark is benchmark_of(session.scale)
    pins = session.library.pins()
    assert set(session.scale.own_data) <= pins.keys()


def test_what_is_hidden_and_the_readme_are_no_data(tmp_path: Path) -> None:
    files = dict.fromkeys(("xnli.dev-qaa.tsv", "README.md", ".DS_Store"), PAIR)
    folder = folder_of(tmp_path / "own", files)
    assert own_files(folder) == ["xnli.dev-qaa.tsv"]


def test_a_folder_that_cannot_be_own_data_is_refused(tmp_path: Path) -> None:
    for folder, what in (
        (tmp_path / "absent", "cannot be read"),
        (folder_of(tmp_path / "empty", {"README.md": ""}), "has no files"),
    ):
        with pytest.raises(ConfigError, match=what) as caught:
            own_files(folder)
        assert caught.value.where == str(folder)
    (tmp_path / "deep" / "xnli.dev-qaa.tsv").mkdir(parents=True)
    with pytest.raises(ConfigError, match="not a file"):
        own_files(tmp_path / "deep")
    with pytest.raises(ConfigError, match=r"did you mean 'xnli\.dev-qaa\.tsv'"):
        opened(tmp_path, {"xnli.deb-qaa.tsv": PAIR})


def test_a_step_has_the_same_key_for_the_same_bytes_and_another_for_others(tmp_path: Path) -> None:
    first = keys(opened(tmp_path / "1", {"mnli.train-qen.tsv": PAIR}), "none", "xnli")
    again = keys(opened(tmp_path / "2", {"mnli.train-qen.tsv": PAIR}), "none", "xnli")
    other = keys(opened(tmp_path / "3", {"mnli.train-qen.tsv": 2 * PAIR}), "none", "xnli")
    assert first == again
    # Labels and encoder rest on nothing of it.
    changed = {kind for kind in first if first[kind] != other[kind]}
    assert changed == {"prepare", "target", "predict"}


def test_an_own_file_changes_only_the_steps_that_read_it(tmp_path: Path) -> None:
    plain = open_session(TABLE2, Choices("mini"), Machine(tmp_path / "store"), tmp_path)
    session = opened(tmp_path, {"xnli.dev-qaa.tsv": PAIR, "tatoeba.test-qab.tsv": "a\tb\n"})
    before, now = keys(plain, "none", "xnli"), keys(session, "none", "xnli")
    # Chosen on English development data, which are the benchmark's still.
    assert {kind for kind in before if before[kind] == now[kind]} == {"encoder", "target"}
    assert keys(plain, "none", "pawsx") == keys(session, "none", "pawsx")
    tatoeba = keys(plain, "none", "tatoeba"), keys(session, "none", "tatoeba")
    assert tatoeba[0]["retrieve"] != tatoeba[1]["retrieve"]


def test_without_development_data_phase_two_keeps_its_last_checkpoint(tmp_path: Path) -> None:
    own = {"mnli.train-qen.tsv": PAIR}
    for place, more in (("alone", {}), ("both", {"mnli.dev-qen.tsv": PAIR})):
        session = opened(tmp_path / place, own | more)
        step = StepBuilder.of(session).intermediate(row_named(session.benchmark, "mnli"), 1)
        assert set(step.inputs) == {"encoder", "train:mnli"} | ({"dev:mnli"} if more else set())


def test_own_data_that_a_run_does_not_read_are_named(tmp_path: Path) -> None:
    """Table 2 scores development data: a test file brought for it would be overlooked."""
    files = dict.fromkeys(("xnli.test-qaa.tsv", "xnli.dev-qaa.tsv", "mnli.train-qen.tsv"), PAIR)
    for experiment, only, unread in (
        ("table2", (), ["xnli.test-qaa.tsv"]),
        ("table2", ("none,pawsx",), sorted(files)),
        ("table2", ("mnli,pawsx",), ["xnli.dev-qaa.tsv", "xnli.test-qaa.tsv"]),
        ("table2-test", (), ["xnli.dev-qaa.tsv"]),
        ("table3", (), []),
        ("table1", (), []),
    ):
        place = tmp_path / "-".join([experiment, *only])
        assert unread_own_data(opened(place, files, experiment, *only)) == unread


def test_a_scale_file_may_name_own_data_of_its_own(tmp_path: Path) -> None:
    scale = varied(load_scale("mini"), own_data=("xnli.dev-qab.tsv",))
    assert benchmark_of(scale).sources["xnli.dev-qab.tsv"].sha256 is None
    with pytest.raises(ConfigError, match="unknown file of own data"):
        benchmark_of(varied(load_scale("mini"), own_data=("xnli.dev-de.tsv",)))
