"""A manifest for Kubernetes: a Dask cluster, and the job that runs a command on it.

The cluster is a ``DaskCluster`` of dask-kubernetes' operator (``kubernetes.dask.org/v1``), which
makes a pod for the scheduler and one for each worker, and makes again what ends. The operator's
schema (its custom resource definition, 2026.3.0) asks for ``spec.scheduler.spec``,
``spec.scheduler.service`` and ``spec.worker.spec``: a pod's specification, a service's, a pod's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from stilts_artifact import __version__
from stilts_artifact.errors import ConfigError, ExitCode
from stilts_artifact.texts import visible

NAME = "stilts-artifact"
TLS_SECRET = f"{NAME}-tls"
"""The secret with ``cert.pem`` and ``key.pem``."""

_SCHEDULER = f"tls://{NAME}-scheduler:8786"  # the operator names the service so
_TLS_FOLDER = "/tls"
_RESULTS = "/artifact/results"
_GPU = "nvidia.com/gpu"  # the name that NVIDIA's device plugin gives them
_SMALL_MEMORY = "8Gi"
# The image's own (Dockerfile): another user would find nothing that it may write.
_USER = 10001
_PYTHON = ["python", "-s", "-P", "-m", "dask"]
_IMAGE = re.compile(r"[a-z0-9][\w./:-]*@sha256:[0-9a-f]{64}")
_RESOURCE_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_MEMORY = re.compile(r"[1-9]\d*[KMGT]i?")
# Of the run's exit codes those that another attempt could change: the scheduler was not there yet
# or is lost, and a pod that was evicted. All others are answers.
_TRY_AGAIN = (ExitCode.RESOURCE, ExitCode.INTERRUPTED)
# Kubernetes waits 10 s, 20 s ... up to 6 minutes between them: three quarters of an hour for the
# scheduler's node to pull an image of 9 GB, and for schedulers that are lost. Its own 6 are ten
# minutes.
_ATTEMPTS = 12


@dataclass(frozen=True, slots=True)
class Pods:
    """The pods that a run gets.

    Args:
        gpus: how many workers, with one GPU each.
        image: of all pods, by its digest: a tag may be another image tomorrow.
        claim: of a volume that all nodes may write (ReadWriteMany), for results and store.
        memory: of each worker, as Kubernetes writes it.

    Raises:
        ConfigError: no GPU, or text that Kubernetes would not take for what it stands for.
    """

    gpus: int
    image: str
    claim: str = NAME
    memory: str = "64Gi"

    def __post_init__(self) -> None:
        if self.gpus < 1:
            raise ConfigError(
                "too few GPUs", where="--gpus", got=str(self.gpus), expected="1 or more"
            )
        if not _IMAGE.fullmatch(self.image):
            raise ConfigError(
                "no image with a digest",
                where="--image",
                got=self.image,
                expected="NAME@sha256: and 64 hexadecimal digits",
                fix="push the image; `docker images --digests` then shows its digest",
            )
        for option, text, form in (
            ("--claim", self.claim, _RESOURCE_NAME),
            ("--memory", self.memory, _MEMORY),
        ):
            if not form.fullmatch(text):
                raise ConfigError("not in Kubernetes' form", where=option, got=repr(text))


def kubernetes_manifest(command: Sequence[str], pods: Pods, written_by: str) -> str:
    """The manifest, as YAML.

    Args:
        command: the run, such as ``["reproduce", "--table", "2"]``.
        written_by: the command line that asked for it.
    """
    head = f"""\
# A run on Kubernetes: {pods.gpus} workers with one GPU each, their scheduler, and a job that
# runs the command.
# Written by stilts-artifact {__version__}, to be read and changed:
#     {visible(written_by)}
"""
    parts = [_cluster(pods), _leader(command, pods)]
    return head + yaml.safe_dump_all(parts, sort_keys=False, width=100)


def _cluster(pods: Pods) -> dict[str, Any]:
    ports = {"tcp-comm": 8786, "http-dashboard": 8787}
    scheduler = _container("scheduler", pods, _SMALL_MEMORY) | {
        "command": [*_PYTHON, "scheduler", "--port", "8786", "--no-dashboard"],
        "ports": [{"name": name, "containerPort": port} for name, port in ports.items()],
        "readinessProbe": {"httpGet": {"path": "/health", "port": "http-dashboard"}},
    }
    # No nanny: the operator replaces a worker that ends.
    options = ["--nthreads", "1", "--memory-limit", "0", "--no-nanny", "--no-dashboard"]
    options += ["--death-timeout", "300", "--local-directory", "/tmp", "--resources", "GPU=1"]  # noqa: S108
    worker = _container("worker", pods, pods.memory) | {
        "command": [*_PYTHON, "worker", _SCHEDULER, *options]
    }
    worker["resources"]["limits"][_GPU] = "1"
    selector = {"dask.org/cluster-name": NAME, "dask.org/component": "scheduler"}
    service = {
        "type": "ClusterIP",
        "selector": selector,
        "ports": [
            {"name": name, "port": port, "targetPort": name, "protocol": "TCP"}
            for name, port in ports.items()
        ],
    }
    return {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskCluster",
        "metadata": {"name": NAME},
        "spec": {
            "scheduler": {"spec": _pod(scheduler, pods), "service": service},
            "worker": {
                "replicas": pods.gpus,
                # Nodes with GPUs are mostly kept free of pods that do not say they want one.
                "spec": _pod(worker, pods)
                | {"tolerations": [{"key": _GPU, "operator": "Exists", "effect": "NoSchedule"}]},
            },
        },
    }


def _leader(command: Sequence[str], pods: Pods) -> dict[str, Any]:
    """The job that runs the command, until it has an answer."""
    # The image's entry point is this package's.
    container = _container("run", pods, _SMALL_MEMORY) | {
        "args": [*command, "--scheduler", _SCHEDULER]
    }
    answers = [int(code) for code in ExitCode if code and code not in _TRY_AGAIN]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": NAME},
        "spec": {
            "backoffLimit": _ATTEMPTS,
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "FailJob",
                        "onExitCodes": {"operator": "In", "values": answers},
                    },
                    {
                        "action": "Ignore",
                        # The default, but the schema of 1.31 asks for it.
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    },
                ]
            },
            "template": {"spec": _pod(container, pods) | {"restartPolicy": "Never"}},
        },
    }


def _container(name: str, pods: Pods, memory: str) -> dict[str, Any]:
    """What all containers have: the image, its rights, the certificate, results and scratch."""
    return {
        "name": name,
        "image": pods.image,
        "env": [{"name": name, "value": value} for name, value in _dask_settings().items()],
        # The operator's schema takes quantities as strings alone.
        "resources": {"requests": {"cpu": "1", "memory": memory}, "limits": {"memory": memory}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "results", "mountPath": _RESULTS},
            {"name": "tls", "mountPath": _TLS_FOLDER, "readOnly": True},
            {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108
        ],
    }


def _pod(container: dict[str, Any], pods: Pods) -> dict[str, Any]:
    return {
        "containers": [container],
        # Nothing ambient: no variables of other services, no rights in the cluster.
        "enableServiceLinks": False,
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [
            {"name": "results", "persistentVolumeClaim": {"claimName": pods.claim}},
            {"name": "tls", "secret": {"secretName": TLS_SECRET}},
            {"name": "scratch", "emptyDir": {}},
        ],
    }


def _dask_settings() -> dict[str, str]:
    """As in the Slurm script: TLS for all, no step given up for its workers, no web pages."""
    settings = {
        "DASK_DISTRIBUTED__COMM__REQUIRE_ENCRYPTION": "True",
        "DASK_DISTRIBUTED__COMM__TLS__CA_FILE": f"{_TLS_FOLDER}/cert.pem",
    }
    for part in ("SCHEDULER", "WORKER", "CLIENT"):
        for what in ("cert", "key"):
            name = f"DASK_DISTRIBUTED__COMM__TLS__{part}__{what.upper()}"
            settings[name] = f"{_TLS_FOLDER}/{what}.pem"
    return settings | {
        "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "1000000",
        # But that it is there, for the probe.
        "DASK_DISTRIBUTED__SCHEDULER__HTTP__ROUTES": "['distributed.http.health']",
        "DASK_DISTRIBUTED__WORKER__HTTP__ROUTES": "[]",
    }
