"""The derivation of a statement as steps: what the theory computed, in its order, for the evidence.

Nothing is told from memory: the statement's own tests are run with their measurements left out, and every
documented function of ``theory`` that returns a formula is a step.  Its rule is the first sentence of its
docstring, its result what it returned.
"""

from __future__ import annotations

import inspect
import itertools
import pkgutil
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType, ModuleType
from typing import Any

import sympy as sp

from theory.words.poly import Matrix, Scalar
from verify.ledger import load_statements, store
from verify.ledger.evidence import Evidence
from verify.profiles import PROFILES

# The algebra's own rules, which a docstring that speaks of arguments would not name.
RULES = {
    "theory.wishart.expectation": "mean over S = XXᵀ/n, by Gaussian integration by parts",
    "theory.wishart.inverse_mean": "mean of an inverse Wishart matrix",
    "theory.words.poly.substitute": "put in, in words and traces",
    "theory.words.poly.replace_word": "put in for a product",
    "theory.words.poly.Scalar.gradient": "gradient, trace by trace: ∂ tr(PMQ)/∂M = PᵀQᵀ",
    "theory.words.poly.Scalar.map_coefficients": "a limit or a value, coefficient by coefficient",
    "theory.words.poly.Matrix.map_coefficients": "a limit or a value, coefficient by coefficient",
    "sympy.series.limits.limit": "limit",
    "sympy.simplify.simplify.simplify": "simplified",
    "sympy.core.function.diff": "derivative",
    "sympy.series.series.series": "series",
    "sympy.polys.polytools.cancel": "brought to one fraction, common factors cancelled",
    "sympy.polys.polytools.factor": "factored",
    "sympy.solvers.solvers.solve": "solved",
    "sympy.integrals.integrals.integrate": "integral",
    "theory.blocks.forward": "the forward pass z + VZZᵀWz/n, multiplied out block by block",
    "theory.blocks.gaussian_task": "mean over w* ~ N(0, I): E w*w*ᵀ = I",
}
TIDYING = {"sympy.polys.polytools.cancel", "sympy.polys.polytools.factor", "sympy.simplify.simplify.simplify"}
# What carries formulas about and derives nothing.
CARRIERS = {
    *("block_symbols", "blocks", "contraction", "errors", "exact", "explicit", "lower", "notation"),
    *("statement", "words.evaluate", "words.letters", "words.poly", "words.program"),
}
GIVEN = ("expression", "expr", "e", "f")  # what the algebra and SymPy call what they are given
MEASURES = "a measurement"
NOT_RUN = Evidence("monte-carlo", "undecided", "not run", "not run", delta=1.0)


@dataclass(frozen=True)
class Step:
    """One step: the rule in words, the function that took it, what went in (where the rule is one of the
    algebra) and the formulas that came out."""

    rule: str
    function: str
    given: tuple[Any, ...]
    results: tuple[Any, ...]


@dataclass(frozen=True)
class Derivation:
    """The steps on the way to one piece of symbolic evidence."""

    evidence: Evidence
    steps: tuple[Step, ...]


class _Measures(Exception):  # noqa: N818  no error, but where a derivation ends
    """The test has come to a measurement."""


def _rule(frame: FrameType) -> str:
    """The rule of the running function: the first sentence of its docstring.

    Empty for a function without one, a private one and what derives nothing; :data:`MEASURES` for a sampler.
    """
    module, name = frame.f_globals.get("__name__", ""), frame.f_code.co_qualname
    if module.startswith("numerics."):
        return MEASURES
    if known := RULES.get(f"{module}.{name}"):
        return known
    function = frame.f_globals.get(name) if module.startswith("theory.") else None
    if name.startswith("_") or function is None or module.removeprefix("theory.") in CARRIERS:
        return ""
    text = inspect.getdoc(inspect.unwrap(function)) or ""
    first = re.split(r"(?<!\beq)(?<!\beqs)(?<!\bSection)\.(?:\s|$)", " ".join(text.split()), maxsplit=1)[0]
    return re.sub(r":\w+:`~?([^`]+)`", r"\1", first).replace("``", "")


def _formulas(found: Any) -> tuple[Any, ...]:
    """What can be shown of a result: formulas, and those of a tuple."""
    if isinstance(found, Scalar | Matrix):
        return (found,)
    if isinstance(found, sp.Expr | sp.MatrixBase | sp.MatrixExpr):
        return (
            () if found.has(sp.Dummy) else (found,)
        )  # a function's own business, under a name of the moment
    if isinstance(found, tuple | list):
        parts = tuple(one for part in found for one in _formulas(part))
        return tuple(one for one in parts if str(one) != "0") or parts[:1]
    return ()


class _Log:
    """Takes down the theory's steps while :meth:`on` is in force."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._rules: dict[CodeType, str] = {}  # by code, since the hook runs at every call of anything
        self._said: set[str] = set()
        self._last = ""
        self.measured = False

    def _hook(self, frame: FrameType, event: str, result: Any) -> None:
        if event not in ("call", "return"):
            return
        rule = self._rules.get(frame.f_code)
        if rule is None:
            rule = self._rules[frame.f_code] = _rule(frame)
        if event == "call" and rule == MEASURES:
            self.measured = True
            raise _Measures
        if rule and event == "return" and (results := _formulas(result)):
            self._add(rule, frame, results)

    def _add(self, rule: str, frame: FrameType, results: tuple[Any, ...]) -> None:
        function = f"{frame.f_globals['__name__']}.{frame.f_code.co_qualname}"
        given: tuple[Any, ...] = ()
        if function in RULES:
            caller = frame.f_back.f_globals.get("__name__", "") if frame.f_back else ""
            if caller.startswith(("theory.words", "theory.wishart", "sympy")):
                return  # the algebra's own business
            if caller.startswith("theory.") and function in TIDYING:
                return  # how a step brings its result into shape
            given = _formulas(next((frame.f_locals[n] for n in GIVEN if n in frame.f_locals), None))
        texts = f"{given}", f"{results}"
        if texts[0] == texts[1] or (said := f"{function} {texts}") in self._said:
            return  # the limit of what does not depend on it, or said before
        self._said.add(said)
        if texts[1] == self._last and self.steps[-1].function in RULES:
            # The function that asked the algebra for it says what it is.
            inner = self.steps.pop()
            self.steps.append(Step(f"{rule}: {inner.rule}", function, inner.given, results))
        else:
            self.steps.append(Step(rule, function, given, results))
        self._last = texts[1]

    @contextmanager
    def on(self) -> Iterator[None]:
        before = sys.getprofile()
        sys.setprofile(self._hook)
        try:
            yield
        finally:
            sys.setprofile(before)


class _Taker:
    """In the place of the recorder: keeps what is symbolic and about the statement, with the steps so far."""

    def __init__(self, id: str, log: _Log) -> None:
        self._id, self._log = id, log
        self.found: list[Derivation] = []

    def record(self, id: str, evidence: Evidence) -> None:
        if id == self._id and evidence.kind == "derivation":
            self.found.append(Derivation(evidence, tuple(self._log.steps)))


def derivations(id: str) -> list[Derivation]:
    """The derivations of the statement ``id``, each with its steps; [] where no test derives it.

    A test is followed up to what cannot go on without a measurement.  Takes seconds, some tens for the
    longest.
    """
    load_statements()  # a test file alone has only some
    found: list[Derivation] = []

    def silent(run: tuple[Callable[..., None], dict[str, Any]]) -> bool:
        return "derivation" not in inspect.getsource(run[0])

    for test, case in sorted(_tests(id), key=silent):
        if found and silent((test, case)):
            break  # what derives it has been met
        log = _Log()
        taker = _Taker(id, log)
        _forget()
        with _unmeasured(log):
            _followed(test, {"ledger": taker, **case}, log)
        found += taker.found
    return found


def _followed(test: Callable[..., None], case: dict[str, Any], log: _Log) -> None:
    given = {"profile": PROFILES["quick"], "seed": lambda label: 0, **case}
    # Any other fixture is something to measure with.
    wanted = {name: given.get(name) for name in inspect.signature(test).parameters}
    try:
        with log.on():
            test(**wanted)
    except Exception:
        return  # it read a measurement that was not made: what it had recorded stands


def _marked(marks: Iterable[Any]) -> set[str]:
    """The statements that these marks of pytest name."""
    return {id for mark in marks if mark.name == "statements" for id in mark.args}


def _tests(id: str) -> Iterator[tuple[Callable[..., None], dict[str, Any]]]:
    """The tests that name the statement, each with the arguments that its parametrisation gives."""
    for path in sorted(Path(__file__).parent.glob("test_*.py")):
        if f'"{id}"' not in _text(path):
            continue
        for name, test in vars(pkgutil.resolve_name(f"verify.{path.stem}")).items():
            if name.startswith("test") and inspect.isfunction(test):
                marks = getattr(test, "pytestmark", ())
                for case, ids in _cases(marks):
                    if id in ids | _marked(marks) and case.get("id", id) == id:
                        yield test, case


def _cases(marks: Iterable[Any]) -> Iterator[tuple[dict[str, Any], set[str]]]:
    """The arguments of each case of a test, and the statements that it names besides those of the test."""
    axes = []
    for mark in marks:
        if mark.name == "parametrize":
            names, values = mark.args[:2]
            names = re.split(r",\s*", names) if isinstance(names, str) else list(names)
            rows = []
            for value in values:
                row = getattr(value, "values", None) or (value if len(names) > 1 else (value,))
                rows.append((dict(zip(names, row, strict=True)), _marked(getattr(value, "marks", ()))))
            axes.append(rows)
    for chosen in itertools.product(*axes):
        case = {name: value for one, _ in chosen for name, value in one.items()}
        yield case, set().union(*(ids for _, ids in chosen))


def _modules(*starts: str) -> list[ModuleType]:
    return [module for name, module in list(sys.modules.items()) if name.startswith(starts)]


def _forget() -> None:
    """Empty the theory's caches: what is kept from before would be a step that nobody sees."""
    for module in _modules("theory."):
        for value in vars(module).values():
            if callable(clear := getattr(value, "cache_clear", None)):
                clear()


def _missing(given: Any) -> bool:
    """What should have been measured and was not, by itself or in a list."""
    return given is NOT_RUN or (isinstance(given, list | tuple) and any(one is NOT_RUN for one in given))


@contextmanager
def _unmeasured(log: _Log) -> Iterator[None]:
    """Checks that come to a measurement return :data:`NOT_RUN` in its place."""

    def guarded(check: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            if any(map(_missing, (*arguments, *named.values()))):
                return NOT_RUN
            try:
                return check(*arguments, **named)
            except Exception:
                # Whatever it has become on the way here: Hypothesis makes its own of what an example raises.
                if not log.measured:
                    raise
                log.measured = False
                sys.setprofile(log._hook)  # Python takes a hook down that raises
                return NOT_RUN

        return call

    changed = []
    for module in _modules("verify.checks.", "verify.test_"):
        for name, value in list(vars(module).items()):
            ours = inspect.isfunction(value) and value.__module__.startswith("verify.checks.")
            if ours and not name.startswith("_"):
                changed.append((module, name, value))
                setattr(module, name, guarded(value))
    try:
        yield
    finally:
        for module, name, value in changed:
            setattr(module, name, value)


def note(id: str) -> Path | None:
    """The page on the part of the theory that the statement belongs to, if that names one."""
    root, here = store.project_root(), Path(__file__).parent
    parts = sorted((root / "theory").glob("*.py"))
    own = [part for part in parts if re.search(rf'Statement\(\s*"{re.escape(id)}"', _text(part))]
    tests = [f for f in sorted(here.glob("test_*.py")) if f'"{id}"' in _text(f)]
    for part in own or [root / "theory" / f"{f.stem.removeprefix('test_')}.py" for f in tests]:
        named = re.search(r"``(notes/\w+\.md)``", _text(part)) if part.is_file() else None
        if named and (root / named[1]).is_file():
            return Path(named[1])
    return None


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8")
