"""Which GPUs there are, and which worker has which: on a machine that pretends to have them."""

from __future__ import annotations

import pkgutil
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from stilts_artifact.errors import ResourceError
from stilts_artifact.experiments import planning, setup
from stilts_artifact.experiments.rehearsal import offer
from stilts_artifact.experiments.session import Session
from stilts_artifact.pipeline import cluster, probe, process
from stilts_artifact.pipeline.cluster import local_client, visible_gpus
from stilts_artifact.pipeline.job import Context, Device, Job
from stilts_artifact.pipeline.kinds import KINDS
from stilts_artifact.pipeline.meter import Meter

PHYSICAL = [f"GPU-0000000{digit}-aaaa-bbbb-cccc-dddddddddddd" for digit in range(4)]
SLICES = [f"MIG-1111111{digit}-aaaa-bbbb-cccc-dddddddddddd" for digit in range(3)]


@pytest.fixture
def four_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four GPUs as NVIDIA's driver would tell of them; all the counting is torch's own."""
    monkeypatch.setattr(torch.cuda, "_is_compiled", lambda: True)
    monkeypatch.setattr(torch.cuda, "_cached_device_count", None)
    monkeypatch.setattr(torch.cuda, "_raw_device_count_nvml", lambda: len(PHYSICAL))
    monkeypatch.setattr(torch.cuda, "_raw_device_uuid_nvml", lambda: PHYSICAL)
    # What CUDA says of slices: a process sees one.
    monkeypatch.setattr(torch._C, "_cuda_getDeviceCount", lambda: 1, raising=False)


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        (None, ["0", "1", "2", "3"]),
        ("2", ["2"]),
        ("3,1", ["3", "1"]),
        (" 0, 2", ["0", "2"]),
        ("0,1,-1,2", ["0", "1"]),  # CUDA's rule
        ("0,9,1", ["0"]),
        (f"{PHYSICAL[2]},{PHYSICAL[0]}", [PHYSICAL[2], PHYSICAL[0]]),
        ("GPU-00000001", ["GPU-00000001"]),  # an abbreviation
        (SLICES[1], [SLICES[1]]),
        (",".join(SLICES), SLICES),
        (f"{SLICES[0]},0", [SLICES[0]]),
    ],
)
def test_gpus_are_those_that_cuda_shows_by_the_names_that_it_takes(
    four_gpus: None, monkeypatch: pytest.MonkeyPatch, named: str | None, expected: list[str]
) -> None:
    if named is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    assert visible_gpus() == expected


@pytest.mark.parametrize("named", ["", "-1", "0,0", "GPU-none", f"{SLICES[0]},{SLICES[0]}"])
def test_where_cuda_shows_none_there_is_none(
    four_gpus: None, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", named)
    with pytest.raises(ResourceError, match="no CUDA GPU on this machine"):
        visible_gpus()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("workers", "expected"),
    [
        (None, ["0", "1", "2", "3"]),
        (2, ["0", "1"]),  # fewer workers than GPUs: each has one, the others stay free
        (6, ["0", "1", "2", "3", "0", "1"]),  # more: they share them in turn
    ],
)
def test_every_worker_process_sees_one_gpu(
    four_gpus: None,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    workers: int | None,
    expected: list[str],
) -> None:
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    given: list[Mapping[str, str]] = []
    monkeypatch.setattr(cluster, "own_process", lambda _, environment: given.append(environment))
    monkeypatch.setattr(cluster, "forget_process", lambda _: None)
    with local_client(tmp_path, workers, "cuda") as client:
        resources = [
            worker["resources"] for worker in client.scheduler_info(-1)["workers"].values()
        ]
    assert [environment["CUDA_VISIBLE_DEVICES"] for environment in given] == expected
    assert resources == [{"GPU": 1}] * len(expected)


def test_a_cpu_run_hides_all_gpus_and_asks_for_none(
    four_gpus: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    given: list[Mapping[str, str]] = []
    monkeypatch.setattr(cluster, "own_process", lambda _, environment: given.append(environment))
    monkeypatch.setattr(cluster, "forget_process", lambda _: None)
    with local_client(tmp_path, 2, "cpu") as client:
        resources = [
            worker["resources"] for worker in client.scheduler_info(-1)["workers"].values()
        ]
    assert given == [{"CUDA_VISIBLE_DEVICES": ""}] * 2
    assert resources == [{}] * 2


@pytest.mark.parametrize("kind", [kind for kind, spec in KINDS.items() if spec.needs_gpu])
def test_no_step_of_a_gpu_run_computes_on_a_cpu_unnoticed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, kind: str
) -> None:
    """A worker of a cluster, whose driver is broken."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5")
    step = pkgutil.resolve_name(KINDS[kind].target)
    job = Job({}, {}, tmp_path, tmp_path, Context(tmp_path, device="cuda"))
    with pytest.raises(ResourceError, match="no GPU answers in this worker") as caught:
        step(job)
    assert "CUDA_VISIBLE_DEVICES=5" in str(caught.value)
    with pytest.raises(Exception, match=r".") as other:
        step(Job({}, {}, tmp_path, tmp_path, Context(tmp_path)))
    assert "no GPU answers" not in str(other.value)


def test_a_worker_of_another_cluster_hides_its_gpu_from_a_run_for_the_cpu(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Whose numbers would be others: a step computes on the GPU that it sees."""
    started: list[Mapping[str, str]] = []

    class Process:
        def __init__(self, environment: Mapping[str, str]) -> None:
            self.environment = environment

        def run(self, *_: Any) -> None:
            started.append(self.environment)

    monkeypatch.setattr("distributed.get_worker", lambda: SimpleNamespace(id="far"))
    monkeypatch.setattr(process, "StepProcess", Process)
    monkeypatch.setattr(process, "_PROCESSES", {})
    step: Any = None
    devices: tuple[Device, ...] = ("cpu", "cuda", "cpu")
    for device in devices:
        process.run_isolated(step, step, Context(tmp_path, device=device))
    hidden: Mapping[str, str] = {"CUDA_VISIBLE_DEVICES": ""}
    assert started == [hidden, {}, hidden] and started[0] is started[2]
    # A worker of this machine has its own, whatever it is.
    process.own_process("far", {"CUDA_VISIBLE_DEVICES": "3"})
    process.run_isolated(step, step, Context(tmp_path))
    assert started[-1] == {"CUDA_VISIBLE_DEVICES": "3"}


@pytest.mark.parametrize(
    ("made_for", "gpus", "scheduler", "trains", "expected"),
    [
        ("cpu", 4, None, True, "cpu"),
        ("cpu", 0, "tls://login:8786", True, "cpu"),
        ("any", 4, None, True, "cuda"),
        ("any", 0, None, True, "cpu"),
        ("gpu", 4, None, True, "cuda"),
        ("gpu", 0, None, False, "cpu"),
        ("gpu", 0, None, True, None),
        ("gpu", 0, "tls://login:8786", True, "cuda"),
    ],
)
def test_where_a_run_computes(
    monkeypatch: pytest.MonkeyPatch,
    made_for: str,
    gpus: int,
    scheduler: str | None,
    trains: bool,
    expected: str | None,
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    monkeypatch.setattr(planning, "gpu_names", lambda: ("NVIDIA H200",) * gpus)
    session: Any = SimpleNamespace(
        scale=SimpleNamespace(device=made_for), machine=SimpleNamespace(scheduler=scheduler)
    )
    if expected is None:
        with pytest.raises(ResourceError, match="no CUDA GPU"):
            Session.device(session, trains=trains)
    else:
        assert Session.device(session, trains=trains) == expected
    # A plan is of what the scale is made for, whatever this machine has.
    planned = {"any": "cuda" if gpus else "cpu", "gpu": "cuda", "cpu": "cpu"}
    assert planning.planned_device(session) == planned[made_for]


def test_what_a_machine_with_gpus_offers(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sizes = [24 << 30, 80 << 30]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: len(sizes))
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda gpu: SimpleNamespace(total_memory=sizes[gpu])
    )
    assert offer(tmp_path).gpus == tuple(sizes)
    # The largest decides whether --scale auto may take the paper's. An RTX 4090 does.
    sizes[:] = [16 << 30, 25_393_692_672]
    assert setup._lacking_gpu() is None
    sizes[1] = 23_836_033_024  # an A10
    assert setup._lacking_gpu() == "the largest GPU has 23.8 GB, 24.0 GB are needed"


def test_memory_of_a_gpu_is_what_torch_says(monkeypatch: pytest.MonkeyPatch) -> None:
    reset: list[bool] = []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda: reset.append(True))
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda: 7 << 30)
    meter = Meter()
    assert reset == [True] and meter.used()["gpu_memory"] == 7 << 30
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (5 << 30, 80 << 30))
    assert probe._free_memory("cuda") == 5 << 30
