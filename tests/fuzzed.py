"""What the fuzz tests put in the place of a good argument, and what a function may do with it."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp
import torch

from numerics.errors import ArgumentError as NumericsError
from theory.errors import ArgumentError

Arguments = dict[str, Any]
LONGEST = 300  # characters of a message: one line that a terminal shows in a few


@dataclass(frozen=True)
class Value:
    """``of`` the good argument; ``kind`` is "same" (of equal value: to be taken), "junk" (never a number, to
    be refused) or "odd" (to be refused, or right)."""

    name: str
    kind: str
    of: Callable[[Any], Any]

    def __repr__(self) -> str:
        return self.name


@dataclass(frozen=True)
class Fuzzed:
    """A function, its good arguments for a random generator, and what is known of its result.

    ``right`` raises AssertionError for a wrong result.  Names of arguments: ``none`` of those that may be
    None, ``endless`` of those that may be ∞, ``long`` of numbers of steps made one by one, of which a huge
    one is no mistake, ``fixed`` of those that are not fuzzed.  ``infinite`` says that the result may be,
    ``passes`` that NaN and ∞ in an array come out again; ``raises`` are the exceptions of good input.
    """

    function: Callable[..., Any]
    good: Callable[[np.random.Generator], Arguments]
    right: Callable[..., None] | None = None
    none: frozenset[str] = frozenset()
    long: frozenset[str] = frozenset()
    endless: frozenset[str] = frozenset()
    fixed: frozenset[str] = frozenset()
    infinite: bool = False
    passes: bool = False
    raises: tuple[type[Exception], ...] = ()
    names: tuple[str, ...] = field(default=())  # under which an argument also appears in a message


def _array(change: Callable[[np.ndarray], Any]) -> Callable[[Any], Any]:
    """``change`` of an array, as it is or as a tensor; anything else stays."""

    def of(good: Any) -> Any:
        if isinstance(good, torch.Tensor):
            changed = change(good.detach().numpy().copy())
            if isinstance(changed, np.ndarray) and changed.dtype.kind in "fiubc":
                return torch.from_numpy(np.ascontiguousarray(changed).reshape(changed.shape))
            return changed
        return change(np.array(good)) if isinstance(good, np.ndarray) and good.ndim else good

    return of


def _put(entry: float) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array = array.astype(float)
        if array.size:
            array.flat[-1] = entry
        return array

    return change


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array


def _strided(array: np.ndarray) -> np.ndarray:
    wide = np.zeros((*array.shape[:-1], 2 * array.shape[-1]))
    wide[..., ::2] = array
    return wide[..., ::2]


def _scalar(good: Any) -> Any:
    if isinstance(good, bool) or not isinstance(good, int | float):
        return good
    return np.int64(good) if isinstance(good, int) else np.float64(good)


def _skew(array: np.ndarray) -> np.ndarray:
    array = array.astype(float)
    array[..., 0] += 1 + np.abs(array).max(initial=0.0)
    return array


def _singular(array: np.ndarray) -> np.ndarray:
    array = array.astype(float)
    array[-1] = 0.0
    if array.ndim == 2 and array.shape[0] == array.shape[1]:
        array[:, -1] = 0.0
    return array


def _constant(value: Any) -> Callable[[Any], Any]:
    return lambda good: value


class Opaque:
    """No number, no sequence, and a representation of many lines."""

    def __repr__(self) -> str:
        return "opaque\n" * 100


_SAME: Mapping[str, Callable[[Any], Any]] = {
    "as a list": lambda good: good.tolist() if isinstance(good, np.ndarray) else good,
    "read-only": lambda good: _read_only(good.copy()) if isinstance(good, np.ndarray) and good.ndim else good,
    "strided": _array(_strided),
    "in column order": lambda good: np.asfortranarray(good) if isinstance(good, np.ndarray) else good,
    "of NumPy": _scalar,
}
_JUNK: Mapping[str, Any] = {
    "None": None,
    "True": True,
    "'3'": "3",
    "'abc'": "abc",
    "''": "",
    "b'3'": b"3",
    "1j": 1j,
    "nan": float("nan"),
    "np.nan": np.float32("nan"),
    "inf": float("inf"),
    "-inf": float("-inf"),
    "{}": {},
    "{1}": {1},
    "opaque": Opaque(),
    "print": print,
    "Decimal": Decimal("0.5"),
    "symbol": sp.Symbol("x"),
    "date": np.datetime64("2026-03-01"),
    "ragged": [[1.0], [2.0, 3.0]],
    "[None]": [None],
    "['a']": ["a"],
    "[[1j]]": [[1j]],
    "[[nan]]": [[float("nan")]],
    "[True]": [True],
    "long text": "x" * 5000,
    "10**400 in a list": [[10**400]],
    "-5": -5,
    "-10**400": -(10**400),
    "-0.5": -0.5,
}
# Negative numbers are among the junk of counts, ratios and rates; where they are allowed they are odd.
_NEGATIVE = {"-5", "-10**400", "-0.5"}
_ODD: Mapping[str, Any] = {
    "0": 0,
    "-1": -1,
    "0.0": 0.0,
    "0.5": 0.5,
    "2.5": 2.5,
    "1.0": 1.0,
    "3": 3,
    "10**9": 10**9,
    "2**53": 2**53,
    "2**53 + 1": 2**53 + 1,
    "10**400": 10**400,
    "10**5000": 10**5000,
    "1e308": 1e308,
    "1e160": 1e160,
    "1e-160": 1e-160,
    "1e-308": 1e-308,
    "5e-324": 5e-324,
    "1/2": Fraction(1, 2),
    "sp 1/2": sp.Rational(1, 2),
    "float32": np.float32(0.5),
    "0-d": np.array(0.5),
    "[]": [],
    "[[]]": [[]],
    "empty": np.zeros((0, 0)),
    "empty vector": np.zeros(0),
    "[1]": [1],
    "[[2]]": [[2]],
    "3 x 3": np.diag([3.0, 2.0, 1.0]),
    "5 x 5": np.diag([3.0, 2.0, 1.0, 0.5, 0.25]),
    "indefinite": np.array([[1.0, 2.0], [2.0, 1.0]]),
    "skew": np.array([[1.0, 2.0], [0.0, 1.0]]),
    "-I": -np.eye(2),
    "zeros": np.zeros((2, 2)),
    "3 axes": np.ones((2, 2, 2)),
    "wide spread": np.diag([1e200, 1e-200]),
}
_CHANGED: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "a NaN in it": ("junk", _array(_put(np.nan))),
    "an inf in it": ("junk", _array(_put(np.inf))),
    "complex": ("junk", _array(lambda a: a + 1j)),
    "as text": ("junk", _array(lambda a: a.astype(str))),
    "as flags": ("junk", _array(lambda a: a.astype(bool))),
    "as objects": ("odd", _array(lambda a: a.astype(object))),
    "as float32": ("odd", _array(lambda a: a.astype(np.float32))),
    "as integers": ("odd", _array(lambda a: np.rint(a).astype(int))),
    "1e308 in it": ("odd", _array(_put(1e308))),
    "1e-308 in it": ("odd", _array(_put(1e-308))),
    "a negative in it": ("odd", _array(_put(-1.0))),
    "a zero in it": ("odd", _array(_put(0.0))),
    "times 1e200": ("odd", _array(lambda a: a * 1e200)),
    "times 1e-200": ("odd", _array(lambda a: a * 1e-200)),
    "times 1e-320": ("odd", _array(lambda a: a * 1e-320)),
    "negated": ("odd", _array(lambda a: -a)),
    "transposed": ("odd", _array(lambda a: a.T)),
    "skewed": ("odd", _array(_skew)),
    "singular": ("odd", _array(_singular)),
    "zeroed": ("odd", _array(lambda a: a * 0)),
    "one row less": ("odd", _array(lambda a: a[:-1])),
    "one column less": ("odd", _array(lambda a: a[..., :-1])),
    "one axis more": ("odd", _array(lambda a: a[None])),
    "flattened": ("odd", _array(np.ravel)),
    "repeated": ("odd", _array(lambda a: np.concatenate([a, a]))),
}
VALUES = (
    *(Value(name, "same", of) for name, of in _SAME.items()),
    *(Value(name, "odd" if name in _NEGATIVE else "junk", _constant(v)) for name, v in _JUNK.items()),
    *(Value(name, "odd", _constant(value)) for name, value in _ODD.items()),
    *(Value(name, kind, of) for name, (kind, of) in _CHANGED.items()),
)
BY_NAME = {value.name: value for value in VALUES}


def numbers(found: Any) -> Iterator[np.ndarray]:
    """The arrays and numbers of a result, whatever holds them."""
    if isinstance(found, torch.Tensor):
        yield found.detach().numpy()
    elif isinstance(found, float | complex | np.ndarray | np.number):
        yield np.asarray(found)
    elif isinstance(found, dict):
        for each in found.values():
            yield from numbers(each)
    elif isinstance(found, tuple | list):
        for each in found:
            yield from numbers(each)
    elif is_dataclass(found):
        for each in fields(found):
            yield from numbers(getattr(found, each.name))


def attempt(case: Fuzzed, seed: int, bad: Mapping[str, Value]) -> str:
    """What the function does: "refused", "raised" (as documented) or "right"; AssertionError for the rest."""
    good = case.good(np.random.default_rng(seed))
    arguments = good | {name: value.of(good[name]) for name, value in bad.items()}
    changed = {name: value for name, value in bad.items() if arguments[name] is not good[name]}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = case.function(**arguments)
    except (ArgumentError, NumericsError) as error:
        told = str(error)
        reason = [value for value in changed.values() if value.kind != "same"]
        assert reason, f"refused good input: {told}"
        assert told.isprintable(), repr(told)
        assert len(told) <= LONGEST, told
        assert "must" in told, told
        assert any(re.search(rf"\b{name}\b", told) for name in (*good, *case.names)), told
        return "refused"
    except case.raises:
        return "raised"
    if case.passes:
        changed = {name: v for name, v in changed.items() if v.name not in ("a NaN in it", "an inf in it")}
    for name, value in changed.items():
        free = (value.name == "None" and name in case.none) or (
            name in case.endless and value.name in ("inf", "an inf in it")
        )
        assert value.kind != "junk" or free, f"took {name} = {value}: {found!r:.200}"
    if not case.infinite:
        assert all(np.isfinite(part).all() for part in numbers(found)), f"{found!r:.200}"
    if case.passes and any(v.name in ("a NaN in it", "an inf in it") for v in bad.values()):
        return "passed on"
    if case.right is not None:
        case.right(found, **arguments)
    return "right"
