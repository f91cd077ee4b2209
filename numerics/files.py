"""Files that are whole or not there, whatever kills the process that writes them."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from pathlib import Path

PART = ".part"  # what a killed write leaves: .NAME.xxxxxxxx.part


def replace_file(path: Path, data: bytes) -> None:
    """Write ``data`` beside ``path`` and move it there; its folder is made if need be.

    Raises :class:`OSError`, one line that names ``path``, for a folder or disk that takes no file; what was
    at ``path`` is still there then.
    """
    name = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=PART)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(handle)  # else a crash of the machine may keep the name and lose the bytes
        os.chmod(name, 0o644)  # mkstemp makes files for the owner alone
        os.replace(name, path)
    except OSError as error:
        if name is not None:
            with suppress(OSError):
                os.unlink(name)
        raise OSError(f"{path}: cannot be written ({error.strerror or error})") from None


def remove_parts(path: Path) -> None:
    """Remove what killed writes of ``path`` left; for who knows that nobody else is writing it."""
    for left in path.parent.glob(f".{path.name}.*{PART}"):
        with suppress(OSError):
            left.unlink()
