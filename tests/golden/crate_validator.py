"""Run by the Python that has roc-validator: what it finds wrong with a crate, as JSON.

crate_validator.py CRATE PROFILE SEVERITY CACHE URL=FILE...

No connection is opened: the contexts that the crate names are served from files.
"""

from __future__ import annotations

import json
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests_cache import CachedSession
from rocrate_validator import models, services
from urllib3 import HTTPResponse


class Files(BaseAdapter):
    """Answers with the bytes of files."""

    def __init__(self, files: dict[str, bytes]) -> None:
        super().__init__()
        self.files = files

    def send(self, request: PreparedRequest, *_: Any, **__: Any) -> Response:
        response = Response()
        response.status_code = 200
        response.url = str(request.url)
        response.request = request
        response.headers["Content-Type"] = "application/ld+json"
        response.raw = HTTPResponse(
            BytesIO(self.files[response.url]), status=200, preload_content=False
        )
        return response

    def close(self) -> None:
        """Nothing is open."""


def fill(cache: str, files: dict[str, bytes]) -> None:
    """Put the files where the validator looks before it asks the network."""
    session = CachedSession(cache_name=cache, backend="sqlite", expire_after=-1)
    session.mount("https://", Files(files))
    for url in files:
        session.get(url).raise_for_status()


def main(crate: str, profile: str, severity: str, cache: str, *served: str) -> None:
    pairs = (one.partition("=") for one in served)
    fill(cache, {url: Path(file).read_bytes() for url, _, file in pairs})
    settings = models.ValidationSettings(
        rocrate_uri=models.URI(crate),
        profile_identifier=profile,
        requirement_severity=models.Severity[severity],
        offline=True,
        cache_path=Path(cache),
    )
    found = services.validate(settings)
    print(
        json.dumps(
            [
                {
                    "severity": issue.severity.name,
                    "check": issue.check.identifier,
                    "message": issue.message,
                    "entity": str(issue.violatingEntity or ""),
                }
                for issue in found.get_issues()
            ]
        )
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
