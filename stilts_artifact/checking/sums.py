"""``expected_results/SHA256SUMS``: an edited digit would decide a verdict, so it is noticed.

The file has the form of sha256sum(1); ``sha256sum -c SHA256SUMS`` in its folder checks it without
this package.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from stilts_artifact.documents import read_document
from stilts_artifact.errors import ConfigError, DataError, IntegrityError
from stilts_artifact.files import files_below, hash_bytes, write_file

SUMS = "SHA256SUMS"
REFRESH = "stilts-artifact expected sums --write"

_LINE = re.compile(r"(?P<sha256>[0-9a-f]{64})  (?P<path>[^\s/][^\n]*)")


def expected_root() -> Path:
    """The folder of expected values: in the checkout, or in the installed package."""
    package = Path(__file__).resolve().parent.parent
    checkout = package.parent / "expected_results"
    return checkout if checkout.is_dir() else package / "expected_results"


def require_checkout(fix: str) -> None:
    """See that the expected values are a checkout's, not part of an installed package.

    Args:
        fix: what to do instead.

    Raises:
        ConfigError: they are installed: what a package manager put there stays as it is.
    """
    root = expected_root()
    if (root.parent / "__init__.py").is_file():
        raise ConfigError(
            "the expected values belong to an installed package, which is not changed",
            where=str(root),
            fix=fix,
        )


def read_protected(path: Path) -> bytes:
    """The bytes of a file of expected values, which must be those that were summed.

    A file outside this package's folder is protected if ``SHA256SUMS`` lies beside it or one folder
    above.

    Raises:
        DataError: the file cannot be read, or the sums are malformed.
        IntegrityError: its bytes are not the bytes that were summed, or it was never summed.
    """
    data = read_document(path)
    root = sums_root(path)
    if root is not None:
        expected = read_sums(root).get(_place(path).relative_to(root).as_posix())
        found = hash_bytes(data).sha256
        if found != expected:
            raise IntegrityError(
                "expected values that are not the recorded ones",
                where=str(path),
                got=f"sha256 {found}",
                expected=f"sha256 {expected} ({root / SUMS})"
                if expected
                else f"a sum in {root / SUMS}",
                fix=f"restore the file; if the change is meant: {REFRESH}",
            )
    return data


def sums_root(path: Path) -> Path | None:
    """The folder whose sums protect a file, if any do."""
    own = expected_root()
    for folder in _place(path).parents[:2]:
        # Our own folder even without the file: to delete the sums must not switch the check off.
        if folder == own or (folder / SUMS).is_file():
            return folder
    return None


def is_recorded(path: Path) -> bool:
    """Whether a file of expected values is there, or should be.

    One that is gone although it was summed counts as recorded, so that reading it fails: deleting a
    file must not leave nothing to fall short of.

    Raises:
        DataError, IntegrityError: as :func:`read_sums`.
    """
    root = sums_root(path)
    if path.is_file() or root is None:
        return path.is_file()
    return _place(path).relative_to(root).as_posix() in read_sums(root)


def _place(path: Path) -> Path:
    # Its folder's links are followed, its own is not: a link to an edited copy elsewhere stands in
    # the place of the file that was summed.
    return path.parent.resolve() / path.name


def read_sums(root: Path) -> Mapping[str, str]:
    """Path below ``root`` -> sha256.

    Raises:
        DataError: a line that is not sha256sum's.
        IntegrityError: there are no sums.
    """
    path = root / SUMS
    if not path.is_file():
        raise IntegrityError("no sums of the expected values", where=str(path), fix=REFRESH)
    return parse_sums(read_document(path), str(path), REFRESH)


def parse_sums(data: bytes, where: str, fix: str) -> dict[str, str]:
    """Path -> sha256, from what sha256sum(1) writes.

    Args:
        where, fix: for messages.

    Raises:
        DataError: a line that is not sha256sum's, unfinished or of a path that was listed before.
    """
    sums: dict[str, str] = {}
    lines = data.decode("utf-8", "replace").split("\n")
    # What follows the last line's end is nothing, or the start of a line that was cut off.
    for number, line in enumerate(lines if lines[-1] else lines[:-1], 1):
        match = _LINE.fullmatch(line) if number < len(lines) else None
        if match is None or match["path"] in sums:
            raise DataError(
                "not a line of sha256sum", where=f"{where}:{number}", got=repr(line[:100]), fix=fix
            )
        sums[match["path"]] = match["sha256"]
    return sums


def refresh_sums(root: Path, changed: Iterable[Path] | None = None) -> list[str]:
    """Write the sums of the files below ``root`` anew.

    Args:
        changed: sum only these anew, so that an edit of any other stays noticed; by default every
            file.

    Returns:
        Names of the files whose sum is new, changed or gone.
    """
    old = dict(read_sums(root)) if (root / SUMS).is_file() else {}
    present = _protected(root)
    if changed is None or not old:
        new = {name: _sum(path) for name, path in present.items()}
    else:
        new = old | {
            _place(path).relative_to(root.resolve()).as_posix(): _sum(path) for path in changed
        }
    content = "".join(f"{new[name]}  {name}\n" for name in sorted(new))
    write_file(root / SUMS, content.encode())
    return sorted(name for name in old.keys() | new.keys() if old.get(name) != new.get(name))


def verify_sums(root: Path) -> int:
    """Hold every file below ``root`` against its sum, and return their number.

    Raises:
        IntegrityError: naming every file that was edited, added or removed.
    """
    sums, present = read_sums(root), _protected(root)
    apart = {name: "gone" for name in sums if name not in present}
    for name, path in present.items():
        if name not in sums:
            apart[name] = "added"
        elif _sum(path) != sums[name]:
            apart[name] = "edited"
    if apart:
        raise IntegrityError(
            "expected values that are not the recorded ones",
            where=str(root),
            got="\n".join(f"{name}: {how}" for name, how in sorted(apart.items())),
            expected=f"the files of {SUMS}",
            fix=f"restore the files; if the change is meant: {REFRESH}",
        )
    return len(sums)


def _protected(root: Path) -> dict[str, Path]:
    # Dot files are a desktop's or an unfinished write's; nothing here reads them.
    files = (path for path in files_below(root) if path.is_file() and path.name[0] != ".")
    return {path.relative_to(root).as_posix(): path for path in sorted(files) if path.name != SUMS}


def _sum(path: Path) -> str:
    return hash_bytes(read_document(path)).sha256
