"""The manifest for Kubernetes, held against what its two interfaces take.

Neither a cluster nor the operator was at hand. The manifest was held once, by hand, against the
schema in dask-kubernetes 2026.3.0; SCHEMA restates that part of it which the manifest uses: names,
types, and what is required.
"""

from __future__ import annotations

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

IMAGE = f"registry.example:5000/our/stilts-artifact@sha256:{'0a' * 32}"
COMMAND = ["reproduce", "--table", "2", "--only", "*,xnli", "yes", "a b", "1e3"]

# A field whose name ends in ! is required; a list has the form of its items, a dict in which only
# "*" stands takes any name, and a field that is not named is refused: Kubernetes would drop it.
CONTAINER: dict[str, Any] = {
    "name!": str,
    "image": str,
    "command": [str],
    "args": [str],
    "env": [{"name!": str, "value": str}],
    "ports": [{"containerPort!": int, "name": str, "protocol": str}],
    "readinessProbe": {"httpGet": {"port!": (int, str), "path": str}},
    "resources": {"limits": {"*": str}, "requests": {"*": str}},
    "securityContext": {
        "allowPrivilegeEscalation": bool,
        "readOnlyRootFilesystem": bool,
        "capabilities": {"drop": [str]},
    },
    "volumeMounts": [{"name!": str, "mountPath!": str, "readOnly": bool}],
}
POD: dict[str, Any] = {
    "containers!": [CONTAINER],
    "enableServiceLinks": bool,
    "automountServiceAccountToken": bool,
    "restartPolicy": str,
    "securityContext": {
        "runAsNonRoot": bool,
        "runAsUser": int,
        "runAsGroup": int,
        "fsGroup": int,
        "seccompProfile": {"type!": str},
    },
    "volumes": [
        {
            "name!": str,
            "persistentVolumeClaim": {"claimName!": str},
            "secret": {"secretName": str},
            "emptyDir": {},
        }
    ],
}
PORTS = [{"port!": int, "name": str, "targetPort": (int, str), "protocol": str}]
HEAD: dict[str, Any] = {"apiVersion!": str, "kind!": str, "metadata!": {"name!": str}}
SCHEMA: dict[str, dict[str, Any]] = {
    "kubernetes.dask.org/v1 DaskCluster": HEAD
    | {
        "spec!": {
            "scheduler!": {
                "spec!": POD,
                "service!": {"type": str, "selector": {"*": str}, "ports": PORTS},
            },
            "worker!": {"replicas": int, "spec!": POD},
        }
    },
    "batch/v1 Job": HEAD
    | {
        "spec!": {
            "template!": {"spec!": POD},
            "podFailurePolicy": {
                "rules!": [
                    {
                        "action!": str,
                        "onExitCodes": {"operator!": str, "values!": [int]},
                        "onPodConditions": [{"type!": str}],
                    }
                ]
            },
        }
    },
}


def faults(value: Any, form: Any, where: str = "") -> list[str]:
    """Where a value has not a form of the schema."""
    if isinstance(form, list):
        if not isinstance(value, list):
            return [where]
        return [one for item in value for one in faults(item, form[0], f"{where}[]")]
    if not isinstance(form, dict):
        # JSON's true is an int to Python, and no number to Kubernetes.
        right = isinstance(value, form) and (form is bool or not isinstance(value, bool))
        return [] if right else [where]
    if not isinstance(value, dict):
        return [where]
    if "*" in form:
        return [one for name in value for one in faults(value[name], form["*"], f"{where}.{name}")]
    forms = {name.removesuffix("!"): part for name, part in form.items()}
    wrong = [f"{where}.{name}" for name in value.keys() - forms.keys()]
    wrong += [f"{where}.{name[:-1]}" for name in form if name[-1] == "!" and name[:-1] not in value]
    return wrong + [
        one
        for name in value.keys() & forms.keys()
        for one in faults(value[name], forms[name], f"{where}.{name}")
    ]


@pytest.fixture(scope="module")
def manifest() -> list[dict[str, Any]]:
    text = kubernetes_manifest(COMMAND, Pods(8, IMAGE), "stilts-artifact \n- rm: x")
    return list(yaml.safe_load_all(text))


def containers(manifest: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    cluster, job = (part["spec"] for part in manifest)
    pods = [cluster["scheduler"]["spec"], cluster["worker"]["spec"], job["template"]["spec"]]
    return {one["name"]: one for pod in pods for one in pod["containers"]}


def test_all_of_it_has_the_form_that_the_schemas_ask_for(manifest: list[dict[str, Any]]) -> None:
    kinds = [f"{part['apiVersion']} {part['kind']}" for part in manifest]
    assert kinds == list(SCHEMA)
    for kind, part in zip(kinds, manifest, strict=True):
        assert faults(part, SCHEMA[kind]) == []


def test_the_schema_finds_what_it_is_there_for(manifest: list[dict[str, Any]]) -> None:
    (broken,) = yaml.safe_load_all(yaml.safe_dump(manifest[0]))
    worker = broken["spec"]["worker"]
    worker["replica"] = worker.pop("replicas")
    del broken["spec"]["scheduler"]["service"]["ports"][0]["port"]
    worker["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] = 1
    assert sorted(faults(broken, SCHEMA["kubernetes.dask.org/v1 DaskCluster"])) == [
        ".spec.scheduler.service.ports[].port",
        ".spec.worker.replica",
        ".spec.worker.spec.containers[].resources.limits.nvidia.com/gpu",
    ]


def test_gpus_image_and_words_are_those_asked_for(manifest: list[dict[str, Any]]) -> None:
    found = containers(manifest)
    assert manifest[0]["spec"]["worker"]["replicas"] == 8
    assert found["worker"]["resources"]["limits"]["nvidia.com/gpu"] == "1"
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
            children.append(subprocess.Popen(words, env=environment))
        asked = [sys.executable, "-c", program, f"tls://127.0.0.1:{port}"]
        answer = subprocess.run(
            asked, env=environment, capture_output=True, text=True, check=True
        ).stdout
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
    assert "stilts-artifact plan --table 2:" in shown.err
    assert "claimName: runs\n" in shown.out
