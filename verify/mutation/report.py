"""What the mutants found, statement by statement: read from a run, kept in ``notes/mutation.json``, shown."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import sympy as sp

from theory.errors import ArgumentError
from theory.notation import latex
from theory.statement import registry
from verify.ledger import store
from verify.ledger.evidence import NUMERIC
from verify.ledger.kills import committed_path
from verify.mutation.explained import reason
from verify.mutation.mutants import claims


@dataclass(frozen=True)
class Check:
    """A piece of evidence of a test, and how many of the statement's mutants it noticed."""

    test: str
    kind: str
    regime: str
    killed: int


@dataclass(frozen=True)
class Killed:
    """The mutants of one form of a statement.

    ``made`` counts those of the form, ``tried`` those that were run, ``equal`` those found equal to the
    original.  ``killed`` were noticed by a check, ``numeric`` by a simulation, a training run or a scaling;
    ``by`` counts them by kind of evidence.  ``excused`` are no wrong statements (see
    :mod:`verify.mutation.explained`) and not among the tried.  ``formula`` identifies the form.
    """

    id: str
    form: str
    formula: str
    made: int
    tried: int
    equal: int
    killed: int
    numeric: int
    by: dict[str, int]
    survivors: list[str]
    unseen: list[str]  # killed, by no numeric evidence
    excused: dict[str, str]
    checks: list[Check]


def fingerprint(form: sp.Basic) -> str:
    """Identifies a form: the digest of its LaTeX."""
    return hashlib.sha256(latex(form).encode()).hexdigest()[:16]


def collected(folder: Path) -> list[Killed]:
    """The findings that the processes of one run left in ``folder``, in the registry's order."""
    forms: dict[str, Any] = {}
    results: dict[str, list[Any]] = defaultdict(list)
    for path in sorted(folder.glob("*.json")):
        part = json.loads(path.read_text(encoding="utf-8"))
        forms.update(part["forms"])
        for one in part["results"]:
            results[f"{one['id']} {one['form']}"].append(one)
    known = {f"{i} {form}": whole for i, s in registry().items() for form, whole in claims(s).items()}
    return [_killed(key, forms[key], results[key], known[key]) for key in known if key in forms]


def _killed(key: str, of: Any, results: Sequence[Any], whole: sp.Basic) -> Killed:
    id, form = key.split(" ")
    by: dict[int, set[str]] = defaultdict(set)
    checks = []
    for one in sorted(results, key=lambda r: r["test"]):
        for number, (kind, regime) in one["checks"].items():
            hit = [int(at) for at, found in one["killed"].items() if int(number) in found]
            checks.append(Check(one["test"], kind, regime, len(hit)))
            for at in hit:
                by[at].add(kind)
    names = of["names"]
    excused = {at: why for at, name in enumerate(names) if at not in by and (why := reason(id, form, name))}
    counted = {
        kind: sum(kind in kinds for kinds in by.values()) for kind in sorted(set().union(*by.values()))
    }
    numeric = [at for at, kinds in by.items() if kinds & NUMERIC]
    return Killed(
        id,
        form,
        fingerprint(whole),
        of["total"],
        len(names) - len(excused),
        of["equal"],
        len(by),
        len(numeric),
        counted,
        [name for at, name in enumerate(names) if at not in by and at not in excused],
        [name for at, name in enumerate(names) if at in by and at not in numeric],
        {names[at]: why for at, why in excused.items()},
        checks,
    )


def dumps(found: Iterable[Killed]) -> str:
    return json.dumps([asdict(one) for one in found], indent=1, ensure_ascii=False) + "\n"


def load(path: Path) -> list[Killed]:
    """What ``path`` holds, nothing if there is no file; :class:`ArgumentError` if it is something else."""
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [Killed(**{**row, "checks": [Check(**c) for c in row["checks"]]}) for row in rows]
    except (ValueError, TypeError, KeyError) as error:
        raise ArgumentError(f"{path}: not what `lsatheory mutate` writes ({error})") from None


def write(found: Iterable[Killed], rendered: Callable[[list[Killed]], str]) -> list[Path]:
    """Put the findings in the place of the committed ones of the same forms, and ``rendered`` beside them."""
    newer = {(one.id, one.form): one for one in found}
    known = {(one.id, one.form): one for one in load(committed_path())} | newer
    order = [(i, form) for i, s in registry().items() for form in claims(s)]
    kept = [known[key] for key in order if key in known]
    files = {committed_path(): dumps(kept), committed_path().with_suffix(".md"): rendered(kept)}
    store.write_files(files)
    return list(files)


def stale(found: Iterable[Killed]) -> list[str]:
    """The forms that are not those that the mutants were made of, or that have none."""
    known = {(one.id, one.form): one.formula for one in found}
    return [
        f"{i}, {form} form"
        for i, s in registry().items()
        for form, whole in claims(s).items()
        if known.get((i, form)) != fingerprint(whole)
    ]


def vacuous(found: Iterable[Killed]) -> list[str]:
    """The checks that notice none of a statement's mutants."""
    return [
        f"{one.id}: {check.kind} in {check.test.split('::')[-1]} ({check.regime})"
        for one in found
        if one.tried
        for check in one.checks
        if not check.killed
    ]
