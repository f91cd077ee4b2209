"""A fine-tuning task as a user gives it: block values, or the eigenvalues of three covariances in files."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from theory.errors import ArgumentError, check_count
from theory.proportional import Setting, setting

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Task:
    """A setting with its dimension and its prompt lengths in whole numbers."""

    setting: Setting
    d: int
    n: int
    n_pre: int
    n_test: int


def numbers(name: str, text: str) -> Array:
    """The numbers of a comma-separated list."""
    try:
        return np.array([float(part) for part in text.split(",")])
    except ValueError:
        raise ArgumentError(f"{name}={text!r}: must be numbers separated by commas") from None


def read(path: Path) -> Array:
    """The eigenvalues in a text file, one a line, or in a one-dimensional .npy file."""
    try:
        if path.suffix == ".npy":
            values = np.load(path, allow_pickle=False)
            if values.dtype.kind not in "fiu" or values.ndim != 1:
                raise ArgumentError(f"{path}: must hold a one-dimensional array of real numbers")
            found = values.astype(float)
        else:
            lines = path.read_text(encoding="utf-8").splitlines()
            found = np.array([_number(path, i, line) for i, line in enumerate(lines, 1) if line.strip()])
    except OSError as error:
        raise ArgumentError(f"{path}: cannot be read ({error.strerror or error})") from None
    except (ValueError, EOFError) as error:
        if isinstance(error, ArgumentError):
            raise
        raise ArgumentError(f"{path}: is neither text with one number a line nor a .npy file") from None
    if found.size == 0:
        raise ArgumentError(f"{path}: has no eigenvalues")
    for i in np.flatnonzero(~(np.isfinite(found) & (found >= 0))):
        raise ArgumentError(f"{path}, eigenvalue {i + 1}: {found[i]:g} must be finite and not negative")
    return found


def _number(path: Path, line: int, text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise ArgumentError(f"{path}, line {line}: {text.strip()[:40]!r} is not a number") from None


def task(
    *,
    blocks: dict[str, str | None],
    files: dict[str, Path | None],
    d: int | None,
    n: int | None,
    n_pre: int | None,
    n_test: int | None,
    eta: float,
) -> Task:
    """The task of ``blocks`` (weights, post, pre, test) at ``d``, or of ``files`` (post, pre, test).

    The files list their eigenvalues in one order, that of the common eigenvectors, and have d lines.
    Raises :class:`ArgumentError` if neither or both are given, and for anything that is no task.
    """
    if n is None:
        raise ArgumentError("--n: must be given, the prompt length")
    given = [f"--{name}" for name, text in blocks.items() if text is not None]
    given_files = [f"--{name}-file" for name, path in files.items() if path is not None]
    if (len(given), len(given_files)) not in ((len(blocks), 0), (0, len(files))):
        either, other = ", ".join(f"--{x}" for x in blocks), ", ".join(f"--{x}-file" for x in files)
        raise ArgumentError(
            f"{' '.join(given + given_files) or 'no covariances'}: must be {either} with --d, or {other}"
        )
    if given:
        weights, post, pre, test = (numbers(f"--{name}", text or "") for name, text in blocks.items())
        if d is None:
            raise ArgumentError("--d: must be given with block values, the dimension")
    else:
        spectra = {name: read(path) for name, path in files.items() if path is not None}
        sizes = {values.size for values in spectra.values()}
        if len(sizes) > 1:
            found = ", ".join(f"{files[name]} has {values.size}" for name, values in spectra.items())
            raise ArgumentError(f"{found} eigenvalues: must be as many in every file")
        (size,) = sizes
        if d not in (None, size):
            raise ArgumentError(f"--d={d}: must be {size}, the number of eigenvalues in each file")
        d = size
        # equal triples are one block
        levels, counts = np.unique(np.stack(list(spectra.values())), axis=1, return_counts=True)
        weights, (post, pre, test) = counts / d, levels
    d, n = check_count("d", d), check_count("n", n)
    n_pre = n if n_pre is None else check_count("n_pre", n_pre)
    n_test = n if n_test is None else check_count("n_test", n_test)
    of = setting(
        aspect=d / n,
        aspect_pre=d / n_pre,
        aspect_test=d / n_test,
        eta=eta,
        weights=weights,
        post=post,
        pre=pre,
        test=test,
    )
    return Task(of, d, n, n_pre, n_test)
