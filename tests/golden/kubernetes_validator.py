"""Run by the Python of the judges: what schemas find wrong with a manifest, as JSON.

kubernetes_validator.py OLDEST <MANIFEST

Each document is held against the schema of whom it is for: Kubernetes' own of version OLDEST and of
the newest that kubernetes-validate has, or the custom resource definition of dask-kubernetes'
operator.
"""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import yaml

_DEFINITIONS = "operator/deployment/helm/dask-kubernetes-operator/crds"


def operators_schema(kind: str, version: str) -> dict[str, Any]:
    """The schema of a custom resource, in which a name that it does not know is an error."""
    # Not imported: the operator's own packages are not here.
    spec = find_spec("dask_kubernetes")
    assert spec is not None and spec.origin is not None
    file = Path(spec.origin).parent / _DEFINITIONS / f"{kind.lower()}.yaml"
    definition = yaml.load(file.read_bytes(), yaml.CSafeLoader)  # safe, and in C
    (found,) = (one for one in definition["spec"]["versions"] if one["name"] == version)
    schema: dict[str, Any] = found["schema"]["openAPIV3Schema"]
    close(schema)
    # Of every resource, and not for a definition to say.
    schema["properties"] |= {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
    }
    return schema


def close(schema: Any) -> None:
    """Make of OpenAPI with Kubernetes' extensions a JSON schema that takes no other properties."""
    if isinstance(schema, list):
        for part in schema:
            close(part)
    if not isinstance(schema, dict):
        return
    # Kubernetes would drop what a definition does not name.
    if "properties" in schema and not schema.get("x-kubernetes-preserve-unknown-fields"):
        schema.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        schema["type"] = ["integer", "string"]
    for part in schema.values():
        close(part)


def faults(part: dict[str, Any], oldest: str) -> list[str]:
    group, _, version = part["apiVersion"].rpartition("/")
    if group == "kubernetes.dask.org":
        validator = jsonschema.Draft4Validator(operators_schema(part["kind"], version))
        return [described(error) for error in validator.iter_errors(part)]
    found = []
    for asked in (oldest, kubernetes_validate.latest_version()):
        try:
            kubernetes_validate.validate(part, asked, strict=True)
        except jsonschema.ValidationError as error:
            found.append(f"{asked}: {described(error)}")
    return found


def described(error: jsonschema.ValidationError) -> str:
    return f"{'.'.join(map(str, error.absolute_path))}: {error.message}"


def main(oldest: str) -> None:
    parts = yaml.safe_load_all(sys.stdin)
    print(json.dumps({part["kind"]: faults(part, oldest) for part in parts}))


if __name__ == "__main__":
    main(*sys.argv[1:])
