"""Files of repositories on the model hub: their addresses, who may ask for them, what is cached.

Where the hub is, and with which token, is the environment's to say: ``HF_ENDPOINT``, ``HF_TOKEN``,
``HF_HUB_CACHE``, as huggingface_hub reads them. That package comes with what trains.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.util import find_spec
from pathlib import Path

from stilts_artifact.domain.tasks import Source


def is_installed() -> bool:
    """Whether this installation could use an encoder of the hub at all."""
    return find_spec("huggingface_hub") is not None


def file_url(repository: str, revision: str, name: str) -> str:
    """Address of a file at a commit."""
    from huggingface_hub import hf_hub_url

    return hf_hub_url(repository, name, revision=revision)


def cache_folders(repository: str) -> list[Path]:
    """The folder that the hub's own cache has for a repository, if there is one."""
    from huggingface_hub import constants

    folder = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
    return [folder] if folder.is_dir() else []


def authorizations(sources: Iterable[Source]) -> Mapping[str, str]:
    """The hub's base URL and the header for it; none where no source lies there, or without token.

    Only who sends it to that host alone may have it.
    """
    if not is_installed():
        return {}
    from huggingface_hub import constants

    if not any(url.startswith(constants.ENDPOINT) for one in sources for url in one.urls):
        return {}
    from huggingface_hub import get_token

    token = get_token()
    return {constants.ENDPOINT: f"Bearer {token}"} if token else {}
