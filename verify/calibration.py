"""Do the sampled checks err as seldom as they say?  ``python -m verify.calibration`` counts.

A thousand runs cannot see an error of 2e-9, so the test is run with α = 0.05 and 0.01 on true statements: on
laws of known mean and skewness, and on the package's own checks, whose ``draw`` and prediction are caught
where they call ``sampled``.  Every run has new samples.  Counted are

- ``differs`` on the true statement and ``agrees`` on one that is off by δ, against α;
- the ends of one block's t interval that miss the mean, against t times what the test allows for skewness;
- p values of the hull, (largest of the blocks' p)³ at each end: stochastically at least uniform.

With them, at the t and n of a run at ``standard``: the misses of long blocks of the most skewed laws, the
event whose cube is the α of a check.  Rates come with exact (Clopper-Pearson) intervals at 99.9 %; none seen
in N runs bounds the rate by 7.6/N.  Results: ``notes/calibration.json``, and ``notes/calibration.md`` made of
it.
"""

from __future__ import annotations

import inspect
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit
from scipy.stats import binomtest, kstest, norm

from verify.ledger import store
from verify.profiles import PROFILES
from verify.stats import LEAST, equivalence_test, least_first
from verify.stats.equivalence import BLOCKS, SKEWNESS, tails

Array = NDArray[np.float64]
Law = Callable[[int], Array]
RUNS, SEED, ALPHAS = 1000, 20261122, (0.05, 0.01)
SECONDS = 15.0  # of drawing for one check, above which it is left out
TAIL_BLOCKS = 10_000


@dataclass(frozen=True)
class Count:
    """``count`` of ``runs`` against ``bound``, with the exact interval [low, high]."""

    check: str
    event: str
    alpha: float
    runs: int
    count: int
    bound: float
    low: float
    high: float


def counted(check: str, event: str, alpha: float, runs: int, count: int, bound: float) -> Count:
    interval = binomtest(count, runs).proportion_ci(0.999, "exact")
    return Count(check, event, alpha, runs, count, bound, float(interval.low), float(interval.high))


def laws(rng: np.random.Generator) -> dict[str, Law]:
    """Laws of mean 0 and variance 1 by their skewness."""
    shape = (2 / SKEWNESS) ** 2
    return {
        "law of skewness 0": lambda n: rng.standard_normal(n),
        "law of skewness 2.8": lambda n: (rng.standard_normal(n) ** 2 - 1) / 2**0.5,
        "law of skewness 8.8": lambda n: ((rng.standard_normal((2, n)) ** 2).prod(axis=0) - 1) / 8**0.5,
        "law of skewness 15": lambda n: (rng.standard_gamma(shape, n) - shape) / shape**0.5,
    }


def allowed(t: float, n: int, averaged: int) -> float:
    """What an end of a block's interval may err: t · exp(κ r(z)/√(averaged · n)) at κ = 15, at most 1."""
    z = norm.isf(t)
    r = (2 * z**2 + 1) * norm.pdf(z) / (6 * t)
    return float(min(1.0, t * np.exp(SKEWNESS * r / (averaged * n) ** 0.5)))


def p_values(blocks: Array) -> Array:
    """Two-sided p values of the hull for mean 0, (runs,), from blocks (runs, BLOCKS, n)."""
    n = blocks.shape[2]
    t = blocks.mean(axis=2) / (blocks.std(axis=2, ddof=1) / n**0.5)
    ends = np.stack([stdtr(n - 1, -t), stdtr(n - 1, t)]).max(axis=2) ** BLOCKS
    return np.asarray(np.minimum(1.0, 2 * ends.min(axis=0)))


def calibrated(
    name: str, samples: Array, averaged: int, runs: int, limit: bool = False
) -> tuple[list[Count], dict[str, Any]]:
    """The counts for ``samples`` (runs, BLOCKS, size) of mean 0 and variance about 1, and their p values.

    The runs are independent of each other; the events are read off the same samples."""
    counts, size = [], samples.shape[2]

    def outcomes(alpha: float, shift: float, delta: float, limit: bool) -> list[str]:
        first = _first(alpha, averaged)
        ends = []
        for one in samples:
            blocks = iter(one[:, :first, None] + shift)

            def draw(_: int, rest: Iterator[Array] = blocks) -> Array:
                return next(rest)

            found = equivalence_test(draw, 0.0, 1.0, delta, alpha, first, 1, limit, averaged)
            ends.append(found.outcome)
        return ends

    for alpha in ALPHAS:
        # Twice what an interval reaches, so that the test could agree.
        t = tails(alpha, 1, 1, _first(alpha, averaged), averaged)[0][1]
        delta = (2 * float(norm.isf(t)) + 2) / _first(alpha, averaged) ** 0.5
        true, off = outcomes(alpha, 0.0, delta, limit), outcomes(alpha, delta, delta, True)
        counts.append(counted(name, "differs, true", alpha, runs, true.count("differs"), alpha))
        counts.append(counted(name, "agrees, off by δ", alpha, runs, off.count("agrees"), alpha))
    flat = samples.reshape(-1, size)
    scores = flat.mean(axis=1) / (flat.std(axis=1, ddof=1) / size**0.5)
    for t in ALPHAS:
        reach = -float(stdtrit(size - 1, t))
        for event, missed in (("block below, true", scores < -reach), ("block above, true", scores > reach)):
            counts.append(counted(name, event, t, len(scores), int(missed.sum()), allowed(t, size, averaged)))
    centred = flat - flat.mean()
    about = {
        "check": name,
        "block": size,
        "averaged": averaged,
        "skewness": float((centred**3).mean() / (centred**2).mean() ** 1.5),
        "ks": float(kstest(p_values(samples), "uniform", alternative="greater").pvalue),
    }
    return counts, about


def _first(alpha: float, averaged: int) -> int:
    return max(LEAST, -(-least_first(alpha, 1, 1) // averaged))


def pool(draw: Law, averaged: int, runs: int) -> Array:
    """New samples for so many runs, (runs, BLOCKS, size)."""
    size = _first(min(ALPHAS), averaged)
    return np.stack([np.stack([draw(size) for _ in range(BLOCKS)]) for _ in range(runs)])


def _functions(module: ModuleType) -> Iterator[Callable[..., None]]:
    """The tests of the module that need no fixtures but the ledger's."""
    for name, function in vars(module).items():
        if name.startswith("test_") and set(inspect.signature(function).parameters) <= {
            "ledger",
            "profile",
            "seed",
        }:
            yield function


Calibrated = tuple[list[Count], dict[str, Any]]


def real(runs: int, seconds: float, modules: tuple[ModuleType, ...] | None = None) -> Iterator[Calibrated]:
    """Every affordable sampled check of ``modules`` that agrees at ``quick``, one for each function."""
    from verify import test_kstep, test_policy_gradient, test_population, test_risk
    from verify.checks import run

    modules = modules or (test_risk, test_kstep, test_population, test_policy_gradient)

    seen: set[str] = set()
    results: list[tuple[list[Count], dict[str, Any]]] = []

    def sampled(draw: Law, prediction: Any, scale: Any, delta: float, regime: str, profile: Any, *rest: Any,
                **options: Any) -> Any:  # fmt: skip
        found = run.sampled(draw, prediction, scale, delta, regime, profile, *rest, **options)
        frame = inspect.stack()[1]
        name = f"{frame.frame.f_globals['__name__'].rpartition('.')[2]}.{frame.function}"
        if found.outcome == "agrees" and name not in seen:
            expected, averaged = np.atleast_1d(np.asarray(prediction, float)), options.get("averaged", 1)
            size = _first(min(ALPHAS), averaged)
            start = time.process_time()
            pilot = (draw(max(size, 200)) - expected) / scale
            cost = (time.process_time() - start) / len(pilot) * BLOCKS * runs * size
            if cost < seconds and pilot.std(axis=0).max() > 0:
                seen.add(name)
                skewness = np.abs(((pilot - pilot.mean(axis=0)) ** 3).mean(axis=0)) / (
                    pilot.std(axis=0) ** 3 + 1e-30
                )
                k = int(skewness.argmax())
                unit = pilot.std(axis=0)[k]
                samples = pool(lambda n: ((draw(n) - expected) / scale / unit)[:, k], averaged, runs)
                results.append(calibrated(name, samples, averaged, runs, options.get("limit", False)))
        return found

    def seed(label: str) -> int:
        return int(np.random.SeedSequence([SEED, *label.encode()]).generate_state(1, np.uint64)[0] >> 1)

    for module in modules:
        for function in _functions(module):
            with ExitStack() as stack:
                for name in [m for m in sys.modules if m.startswith("verify.checks.")]:
                    if name != "verify.checks.run" and hasattr(sys.modules[name], "sampled"):
                        stack.enter_context(patch(f"{name}.sampled", sampled))
                known = {"ledger": _Ledger(), "profile": PROFILES["quick"], "seed": seed}
                function(**{k: known[k] for k in inspect.signature(function).parameters})
            yield from results
            results.clear()


class _Ledger:
    def record(self, *_: Any) -> None:
        """Nothing is kept: the calls of ``sampled`` are what counts."""


def tail_counts(blocks: int, rng: np.random.Generator) -> list[Count]:
    """Ends of the long blocks of a run at ``standard``, first look, at their own t."""
    alpha = PROFILES["standard"].alpha
    n, t = tails(alpha, 8, 1, least_first(alpha, 8, 1))[0]
    found = []
    for name, law in list(laws(rng).items())[1:]:
        scores = np.empty(blocks)
        for i in range(blocks):
            x = law(n)
            scores[i] = x.mean() / (x.std(ddof=1) / n**0.5)
        for event, missed in (
            ("long block below", scores < -norm.isf(t)),
            ("long block above", scores > norm.isf(t)),
        ):
            found.append(counted(name, event, t, blocks, int(missed.sum()), allowed(t, n, 1)))
    return found


def measure(
    runs: int = RUNS, tail_blocks: int = TAIL_BLOCKS, modules: tuple[ModuleType, ...] | None = None
) -> dict[str, Any]:
    """All results as plain lists; the same for the same arguments."""
    rng, counts, about = np.random.default_rng(SEED), [], []
    for name, law in laws(rng).items():
        found, more = calibrated(name, pool(law, 1, runs), 1, runs)
        counts += found
        about.append(more)
    for found, more in real(runs, SECONDS * runs / RUNS, modules):
        counts += found
        about.append(more)
        print(f"{more['check']}: skewness {more['skewness']:.1f}", file=sys.stderr, flush=True)
    counts += tail_counts(tail_blocks, rng)
    return {"runs": runs, "seed": SEED, "counts": [asdict(c) for c in counts], "checks": about}


def rendered(results: dict[str, Any]) -> str:
    """The results in Markdown."""
    counts, about, runs = results["counts"], results["checks"], results["runs"]
    lines = [
        "# Calibration of the sampled checks",
        "",
        f"Written by `make calibrate` (seed {results['seed']}, {runs} runs of each check).",
        "",
        "Each rate is that of an error on a statement of known truth, with the ends of its exact",
        f"99.9 % interval; an event not seen in {runs} runs has a rate below {7.601 / runs:.1e}.",
        "A run's α is 2e-9, which no count reaches: counted is the same test at",
        "α = 0.05 and 0.01, and the event of one block whose cube α is. α allows for a skewness of 15",
        "at once with all else, so that the rates are well below it.",
        "",
        "## Rates against α",
        "",
        "| check | differs, true: 0.05 | 0.01 | agrees, off by δ: 0.05 | 0.01 | skewness | KS p |",
        "|---|---|---|---|---|---|---|",
    ]
    for one in about:
        own = [c for c in counts if c["check"] == one["check"]]
        cells = [
            f"{c['count']}/{c['runs']} ≤ {c['high']:.2g}"
            for event in ("differs, true", "agrees, off by δ")
            for c in own
            if c["event"] == event
        ]
        lines.append(f"| {one['check']} | {' | '.join(cells)} | {one['skewness']:.1f} | {one['ks']:.2g} |")
    lines += [
        "",
        "KS p: one-sided, against p values of the hull that are more often small than uniform ones.",
        "",
        "## Ends of one block's t interval that miss, against t",
        "",
        "| check | n | below, t = 0.05 | above | below, t = 0.01 | above |",
        "|---|---|---|---|---|---|",
    ]
    for one in about:
        own = [c for c in counts if c["check"] == one["check"] and c["event"].startswith("block")]
        cells = [f"{c['count'] / c['runs']:.4f} ({c['low']:.4f} to {c['high']:.4f})" for c in own]
        lines.append(f"| {one['check']} | {one['block']} | {' | '.join(cells)} |")
    lines += [
        "",
        "## The same at the t of a run at `standard`",
        "",
        "| law | end | t | misses | rate | allowed |",
        "|---|---|---|---|---|---|",
    ]
    for c in counts:
        if c["event"].startswith("long"):
            rate, where = f"{c['low']:.1e} to {c['high']:.1e}", c["event"].split()[-1]
            misses = f"{c['count']}/{c['runs']}"
            lines.append(
                f"| {c['check']} | {where} | {c['alpha']:.1e} | {misses} | {rate} | {c['bound']:.1e} |"
            )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write the results and their table; one line on standard error for each check."""
    results = measure()
    path = store.project_root() / "notes" / "calibration.json"
    store.write_text(path, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    store.write_text(path.with_suffix(".md"), rendered(results))
    worst = [c for c in results["counts"] if c["low"] > c["bound"]]
    print(f"{len(results['counts'])} rates, {len(worst)} above their bound")
    sys.exit(bool(worst))


if __name__ == "__main__":
    main()
