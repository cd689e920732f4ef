"""Archives whose bytes do not depend on the machine: no clock, no owner, no zlib.

Different builds of zlib compress the same bytes differently, so zip members and gzip blocks are
stored; bzip2 has one implementation and is used where upstream uses it.
"""

from __future__ import annotations

import bz2
import io
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Mapping

# The earliest time that a zip entry can carry; a clock would change the bytes of every run.
_EPOCH = (1980, 1, 1, 0, 0, 0)
# The longest stored block of deflate.
_BLOCK = 65535


def zip_archive(members: Mapping[str, bytes]) -> bytes:
    """A zip file with the members in the given order."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.create_system = 3  # Unix, whatever the machine
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
    return buffer.getvalue()


def tar_archive(members: Mapping[str, bytes]) -> bytes:
    """A POSIX ustar file with the members in the given order."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in members.items():
            # Owner, group and time stay at TarInfo's zeros.
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def tar_gz(members: Mapping[str, bytes]) -> bytes:
    """A gzipped tar file."""
    return gzip_stored(tar_archive(members))


def tar_bz2(members: Mapping[str, bytes]) -> bytes:
    """A bzip2-compressed tar file."""
    return bz2.compress(tar_archive(members), 9)


def gzip_stored(content: bytes) -> bytes:
    """A gzip file of stored deflate blocks (RFC 1951 section 3.2.4, RFC 1952)."""
    # Magic, deflate, no flags, time 0, no extra flags, unknown system.
    header = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"
    blocks = []
    for start in range(0, max(len(content), 1), _BLOCK):
        block = content[start : start + _BLOCK]
        final = start + _BLOCK >= len(content)
        # Final bit and type 0 (stored), then the length and its complement.
        blocks.append(struct.pack("<BHH", final, len(block), len(block) ^ 0xFFFF) + block)
    trailer = struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)
    return header + b"".join(blocks) + trailer
