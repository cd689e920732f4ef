"""The manifest for Kubernetes, held against what its two interfaces take.

Neither a cluster nor the operator was at hand, but their schemas are, where judges are.
"""

from __future__ import annotations

import copy
import json
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from stilts_artifact.cli import ending
from stilts_artifact.clusters.kubernetes import Pods, kubernetes_manifest
from stilts_artifact.errors import ConfigError, ExitCode
from tests import golden
from tests.golden.judges import judges, missing_judges

IMAGE = f"registry.example:5000/our/stilts-artifact@sha256:{'0a' * 32}"
COMMAND = ["reproduce", "--table", "2", "--only", "*,xnli", "yes", "a b", "1e3"]

# Which the command asks for.
OLDEST = "1.31"


@pytest.fixture(scope="module")
def manifest() -> list[dict[str, Any]]:
    text = kubernetes_manifest(COMMAND, Pods(8, IMAGE), "stilts-artifact \n- rm: x")
    return list(yaml.safe_load_all(text))


def containers(manifest: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    cluster, job = (part["spec"] for part in manifest)
    pods = [cluster["scheduler"]["spec"], cluster["worker"]["spec"], job["template"]["spec"]]
    return {one["name"]: one for pod in pods for one in pod["containers"]}


def judged(parts: list[dict[str, Any]]) -> dict[str, list[str]]:
    """What schemas find wrong, by kind."""
    script = Path(golden.__file__).with_name("kubernetes_validator.py")
    command = [judges() / "bin" / "python", script, OLDEST]
    text = yaml.safe_dump_all(parts)
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


asks_judges = pytest.mark.skipif(missing_judges() is not None, reason=missing_judges() or "")


@asks_judges
def test_schemas_of_kubernetes_and_of_the_operator_take_all_of_it(
    manifest: list[dict[str, Any]],
) -> None:
    assert judged(manifest) == {"DaskCluster": [], "Job": []}


@asks_judges
def test_schemas_find_what_they_are_there_for(manifest: list[dict[str, Any]]) -> None:
    cluster, job = copy.deepcopy(manifest)
    worker = cluster["spec"]["worker"]
    worker["replica"] = worker.pop("replicas")
    del cluster["spec"]["scheduler"]["service"]["ports"][0]["port"]
    worker["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] = [1]
    job["spec"]["backOffLimit"] = job["spec"].pop("backoffLimit")
    found = judged([cluster, job])
    places = sorted(one.partition(": ")[0] for one in found["DaskCluster"])
    assert places == [
        "spec.scheduler.service.ports.0",
        "spec.worker",
        "spec.worker.spec.containers.0.resources.limits.nvidia.com/gpu",
    ]
    assert len(found["Job"]) == 2 and all("backOffLimit" in one for one in found["Job"])


def test_gpus_image_and_words_are_those_asked_for(manifest: list[dict[str, Any]]) -> None:
    found = containers(manifest)
    assert manifest[0]["spec"]["worker"]["replicas"] == 8
    assert found["worker"]["resources"]["limits"]["nvidia.com/gpu"] == "1"
    cluster, job = (part["spec"] for part in manifest)
    tolerant = {
        name: [one["key"] for one in pod.get("tolerations", [])]
        for name, pod in (
            ("scheduler", cluster["scheduler"]["spec"]),
            ("worker", cluster["worker"]["spec"]),
            ("leader", job["template"]["spec"]),
        )
    }
    # The others would take the place of one that needs it.
    assert tolerant == {"scheduler": [], "worker": ["nvidia.com/gpu"], "leader": []}
    assert {one["image"] for one in found.values()} == {IMAGE}
    address = "tls://stilts-artifact-scheduler:8786"
    assert found["run"]["args"] == [*COMMAND, "--scheduler", address]
    assert address in found["worker"]["command"]


def test_the_service_and_every_mount_lead_somewhere(manifest: list[dict[str, Any]]) -> None:
    cluster, job = (part["spec"] for part in manifest)
    # The labels that the operator gives the scheduler's pod.
    assert cluster["scheduler"]["service"]["selector"] == {
        "dask.org/cluster-name": manifest[0]["metadata"]["name"],
        "dask.org/component": "scheduler",
    }
    ports = {port["name"] for port in containers(manifest)["scheduler"]["ports"]}
    assert {port["targetPort"] for port in cluster["scheduler"]["service"]["ports"]} == ports
    for pod in (cluster["scheduler"]["spec"], cluster["worker"]["spec"], job["template"]["spec"]):
        volumes = {volume["name"] for volume in pod["volumes"]}
        assert {mount["name"] for mount in pod["containers"][0]["volumeMounts"]} == volumes


def test_its_user_and_folder_are_the_images(
    repository: Path, manifest: list[dict[str, Any]]
) -> None:
    dockerfile = (repository / "Dockerfile").read_text(encoding="utf-8")
    user = manifest[0]["spec"]["worker"]["spec"]["securityContext"]
    assert f"USER {user['runAsUser']}:{user['runAsGroup']}\n" in dockerfile
    (results,) = (
        mount["mountPath"]
        for mount in containers(manifest)["run"]["volumeMounts"]
        if mount["name"] == "results"
    )
    folder, _, name = results.rpartition("/")
    assert f"WORKDIR {folder}\n" in dockerfile and f"mkdir -m 1777 {name}\n" in dockerfile


def test_an_answer_ends_the_job_and_a_lost_scheduler_does_not(
    manifest: list[dict[str, Any]],
) -> None:
    fail, ignore = manifest[1]["spec"]["podFailurePolicy"]["rules"]
    ended = set(fail["onExitCodes"]["values"])
    assert fail["action"] == "FailJob" and ignore["action"] == "Ignore"
    assert {int(code) for code in ExitCode} - ended == {0, 5, 130}


# What the operator adds to a worker's environment (dask-kubernetes 2026.3.0): without TLS.
OPERATORS = {
    "DASK_WORKER_NAME": "stilts-artifact-default-worker-0123456789",
    "DASK_SCHEDULER_ADDRESS": "tcp://stilts-artifact-scheduler.default.svc.cluster.local:8786",
}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def health(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as answer:
            return str(answer.read().decode())
    except (OSError, urllib.error.URLError):
        return ""


@pytest.mark.slow
def test_the_commands_of_scheduler_and_worker_make_a_cluster(
    manifest: list[dict[str, Any]], tmp_path: Path
) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    make = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-subj",
        "/CN=dask",
    ]
    subprocess.run(
        [*make, "-keyout", key, "-out", certificate], check=True, stderr=subprocess.DEVNULL
    )
    port, pages = free_port(), free_port()
    program = """
import sys
from distributed import Client
with Client(sys.argv[1], timeout=300) as client:
    client.wait_for_workers(1)
    (worker,) = client.scheduler_info()["workers"].values()
    allowed = client.run_on_scheduler(lambda dask_scheduler: dask_scheduler.allowed_failures)
    print(worker["resources"], worker["nthreads"], worker["nanny"], allowed)
"""
    replaced = {
        "python": sys.executable,
        "8786": str(port),
        "tls://stilts-artifact-scheduler:8786": f"tls://127.0.0.1:{port}",
        "/tmp": str(tmp_path),
    }
    children: list[subprocess.Popen[bytes]] = []
    found = containers(manifest)
    try:
        for name in ("scheduler", "worker"):
            words = [replaced.get(word, word) for word in found[name]["command"]]
            # The one thing that the manifest leaves to Dask's default, which may be taken here.
            words += ["--dashboard-address", f":{pages}"] if name == "scheduler" else []
            environment = {
                one["name"]: re.sub("^/tls/", f"{tmp_path}/", one["value"])
                for one in found[name]["env"]
            }
            children.append(subprocess.Popen(words, env=environment | OPERATORS))
        asked = [sys.executable, "-c", program, f"tls://127.0.0.1:{port}"]
        with (tmp_path / "answer").open("wb") as stream:
            children.append(subprocess.Popen(asked, env=environment, stdout=stream))
        *servers, client = children
        while client.poll() is None:
            # One that does not take its command has ended; nobody would ever answer.
            assert [server.poll() for server in servers] == [None, None]
            time.sleep(0.1)
        answer = (tmp_path / "answer").read_text("utf-8")
        assert answer == "{'GPU': 1.0} 1 None 1000000\n"
        end = time.monotonic() + 300
        while health(pages) != "ok":
            assert time.monotonic() < end
            time.sleep(0.2)
    finally:
        for child in children:
            child.kill()
            child.wait()


@pytest.mark.parametrize(
    "options",
    [
        {"gpus": 0},
        {"image": "stilts-artifact:latest"},
        {"image": IMAGE[:-1]},
        {"image": f"{IMAGE}\n"},
        {"claim": "My_Volume"},
        {"memory": "64GB"},
    ],
    ids=str,
)
def test_what_kubernetes_would_not_take_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError):
        Pods(**({"gpus": 1, "image": IMAGE} | options))


def test_what_to_do_with_it_is_said_beside_it(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["cluster", "kubernetes", "--gpus", "2", "--image", IMAGE, "--claim", "runs"]
    assert ending.run([*words, "reproduce", "--table", "2"], debug=False) == 0
    shown = capsys.readouterr()
    assert shown.out.startswith("# A run on Kubernetes") and "kubectl apply" in shown.err
    assert f"Kubernetes {OLDEST} or newer" in shown.err
    assert "stilts-artifact plan --table 2:" in shown.err
    assert "claimName: runs\n" in shown.out
