"""Commands in the image: hardened by hand, by ``container run``, and by ``reproduce.sh``."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from stilts_artifact import container
from stilts_artifact.errors import ExitCode, ResourceError

if TYPE_CHECKING:
    from docker import DockerClient

pytestmark = pytest.mark.container

TABLE1 = ["reproduce", "--table", "1", "--scale", "mini"]
HARDENED = [
    "--read-only",
    "--network",
    "none",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
    "--user",
    "12345:12345",
    "--tmpfs",
    "/tmp",
]


def apart_from_versions(path: Path) -> tuple[str, dict[str, str]]:
    """A results file without its environment, key order kept; and the environment."""
    content: dict[str, Any] = json.loads(path.read_text("utf-8"))
    environment = content.pop("environment")
    return json.dumps(content, ensure_ascii=False), environment


@pytest.fixture(scope="session")
def local(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The results file of the same run outside; the mini world is in a data folder, as there."""
    folder = tmp_path_factory.mktemp("local")
    data = folder / "mini"
    data.mkdir()
    environment = {**os.environ, "STILTS_ARTIFACT_DATA": str(data)}
    for arguments in (
        ["fetch", "--scale", "mini", "--store", str(data)],
        [*TABLE1, "--results", str(folder)],
    ):
        command = [sys.executable, "-m", "stilts_artifact", *arguments]
        subprocess.run(command, check=True, timeout=300, env=environment)
    return folder / "table1.mini.json"


def hardened(image: str, results: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    docker = shutil.which("docker")
    assert docker is not None
    command = [
        docker,
        "run",
        "--rm",
        *HARDENED,
        "-v",
        f"{results}:/artifact/results",
        image,
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)


def test_table1_hardened_equals_a_local_run(
    image: str, results: Path, local: Path, repository: Path
) -> None:
    done = hardened(image, results, *TABLE1)
    assert done.returncode == 0, done.stderr
    assert "REPRODUCED" in done.stdout
    inside, environment = apart_from_versions(results / "table1.mini.json")
    assert inside == apart_from_versions(local)[0]
    lock = (repository / "locks" / "cpu.txt").read_text("utf-8")
    for name in ("torch", "transformers", "faiss-cpu", "numpy", "seqeval"):
        assert f"{name}=={environment[name]} " in lock
    assert environment["faiss-gpu"] == "not installed"


def test_table1_hardened_twice_gives_the_same_bytes_as_that_user(image: str, results: Path) -> None:
    assert hardened(image, results, *TABLE1).returncode == 0
    first = (results / "table1.mini.json").read_bytes()
    assert hardened(image, results, *TABLE1).returncode == 0
    assert (results / "table1.mini.json").read_bytes() == first
    assert {path.stat().st_uid for path in results.rglob("*")} == {12345}


def test_check_reads_the_mount(image: str, results: Path, local: Path) -> None:
    shutil.copy(local, results)
    assert hardened(image, results, "check").returncode == 0
    (results / local.name).write_text(
        local.read_text("utf-8").replace('"value": ', '"value": 1'), "utf-8"
    )
    assert hardened(image, results, "check").returncode == ExitCode.NOT_REPRODUCED


def test_usage_error_passes_through(image: str, results: Path) -> None:
    done = hardened(image, results, "reproduce", "--table", "one")
    assert done.returncode == ExitCode.USAGE
    assert list(results.iterdir()) == []


def test_container_run_equals_a_local_run(
    image: str, results: Path, local: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert container.run([*TABLE1, "--json"], results=results, tag=image) == 0
    assert apart_from_versions(results / local.name)[0] == apart_from_versions(local)[0]
    out, err = capfd.readouterr()
    assert out == (results / local.name).read_text("utf-8")
    assert "verdict:" in err


def test_container_run_passes_exit_codes_and_data_folders(
    image: str, results: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert (
        container.run(["reproduce", "--table", "9"], results=results, tag=image) == ExitCode.USAGE
    )
    (tmp_path / "data").mkdir()
    paper = ["fetch", "--scale", "paper", "--offline"]
    code = container.run(paper, results=results, data=[tmp_path / "data"], tag=image)
    assert code == ExitCode.DATA, capfd.readouterr()


def test_container_run_without_the_image(engine: DockerClient, results: Path) -> None:
    with pytest.raises(ResourceError, match="no such image"):
        container.run(["check"], results=results, tag="stilts-artifact-absent")


def heed_interrupts() -> None:
    """In a child before its program: a test run in the background inherits SIGINT as ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_leaves_no_container(
    engine: DockerClient, image: str, results: Path, number: signal.Signals
) -> None:
    command = [
        sys.executable,
        "-m",
        "stilts_artifact",
        "container",
        "run",
        "--tag",
        image,
        "--results",
        str(results),
        *TABLE1,
    ]
    prepare = heed_interrupts if number == signal.SIGINT else None
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, preexec_fn=prepare
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        process.send_signal(number)
        process.communicate(timeout=60)
    assert process.returncode == ExitCode.INTERRUPTED
    assert engine.containers.list(all=True, filters={"ancestor": image}) == []


def test_reproduce_sh_from_another_folder(
    image: str, base: str, network: str, repository: Path, tmp_path: Path, local: Path
) -> None:
    folder = tmp_path / "any, folder"
    folder.mkdir()
    environment = {
        **os.environ,
        "STILTS_ARTIFACT_RUNNER": "docker",
        "STILTS_ARTIFACT_BUILD": f"--network {network} --build-arg BASE={base}",
    }
    command = [
        str(repository / "reproduce.sh"),
        "--table",
        "1",
        "--scale",
        "mini",
        "--offline",
        "--results",
        "out put",
    ]
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    assert "running in Docker" in done.stderr
    written = folder / "out put" / local.name
    assert apart_from_versions(written)[0] == apart_from_versions(local)[0]
    assert written.stat().st_uid == os.getuid()
    assert [path.name for path in folder.iterdir()] == ["out put"]


ENCODER = Path(container.__file__).parents[1] / "miniencoder"
TEXTS = ["--src", "a.txt", "--trg", "b.txt", "--encoder", str(ENCODER)]
MINE, SWEEP = ["mine", *TEXTS, "--threshold", "0"], ["sweep", *TEXTS]


@pytest.mark.parametrize(
    ("command", "written"),
    [
        (
            ["report", "--results", "read only", "--out", "page.html", "--crate", "new/crate.zip"],
            ["page.html", "new/crate.zip"],
        ),
        (
            [
                *MINE,
                "--gold",
                "gold.tsv",
                "--layer",
                "1",
                "--out=pairs.tsv",
                "--plot",
                "new/plot.svg",
            ],
            ["pairs.tsv", "new/plot.svg"],
        ),
        (
            [*SWEEP, "--layers", "0,1", "--out", "new/sweep.jsonl", "--plot", "plot.png"],
            ["new/sweep.jsonl", "plot.png"],
        ),
    ],
    ids=lambda value: value[0],
)
def test_reproduce_sh_in_docker_writes_what_the_command_writes(
    image: str,
    base: str,
    network: str,
    repository: Path,
    tmp_path: Path,
    local: Path,
    command: list[str],
    written: list[str],
) -> None:
    (tmp_path / "read only").mkdir()
    shutil.copy(local, tmp_path / "read only")
    texts = [f"sudi luzah gimow{number}." for number in range(12)]
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("".join(f"{text}\n" for text in texts))
    gold = "".join(f"{number}\t{number}\n" for number in range(12))
    (tmp_path / "gold.tsv").write_text(gold)
    done = subprocess.run(
        [str(repository / "reproduce.sh"), *command],
        cwd=tmp_path,
        env={
            **os.environ,
            "STILTS_ARTIFACT_RUNNER": "docker",
            "STILTS_ARTIFACT_BUILD": f"--network {network} --build-arg BASE={base}",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    for name in written:
        assert (tmp_path / name).stat().st_size > 0
        assert (tmp_path / name).stat().st_uid == os.getuid()


TABLE2 = [
    "reproduce",
    "--table",
    "2",
    "--scale",
    "mini",
    "--only",
    "none,panx",
    "--only",
    "none,tatoeba",
]


def test_trained_cells_hardened_equal_a_local_run(
    image: str, results: Path, tmp_path: Path
) -> None:
    done = hardened(image, results, *TABLE2)
    assert done.returncode == 0, done.stderr
    local = [sys.executable, "-m", "stilts_artifact", *TABLE2, "--results", str(tmp_path)]
    assert subprocess.run(local, check=False, timeout=600).returncode == 0
    # Not the mark, which is of the results file: that one names its environment.
    for path in sorted((results / "table2.mini").rglob("*.tsv")):
        assert path.read_bytes() == (tmp_path / path.relative_to(results)).read_bytes(), path
    inside, outside = (
        json.loads((folder / "table2.mini.json").read_text("utf-8"))
        for folder in (results, tmp_path)
    )
    assert inside["cells"] == outside["cells"]
    assert sum(cell["value"] is not None for cell in inside["cells"]) == 2 + 8 + 7, (
        "two means and their languages"
    )
    # Nobody asks `check` for some cells only: the others are NOT_RUN.
    assert hardened(image, results, "check", "--table", "2").returncode == 6
