"""``make bench``: times of the word engine, the k-step risk, the limit and the curves of fine-tuning, beside
what they are held to.

Medians of repeated calls, caches emptied between them; the pairing enumeration of ``pairings.py`` is run
once, side by side with the engine.  Nothing here is a test: a busy machine is slow, not wrong.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from math import prod

import numpy as np
import pairings
import sympy.core.cache
from bench_figure_four import figure_four_rows
from bench_figures import figure1_seconds, revealed_seconds
from bench_sweeps import sweep_seconds
from rich.console import Console
from rich.table import Table

from theory import kstep
from theory.kstep_value import k_step_risk, k_step_risk_bound
from theory.lower import _raise_trace, raise_scalar
from theory.proportional import sft_risk_limit
from theory.words.letters import reduce_trace, reduce_word


def fresh() -> None:
    for cached in (reduce_trace, reduce_word, kstep._cached, _raise_trace):
        cached.cache_clear()
    sympy.core.cache.clear_cache()


def seconds(call: Callable[[], object], repeat: int, before: Callable[[], None] = fresh) -> float:
    found = []
    for _ in range(repeat):
        before()
        start = time.perf_counter()
        call()
        found.append(time.perf_counter() - start)
    return statistics.median(found)


def main() -> None:
    table = Table("what", "measured, s", "held to, s")
    figures = [*figure1_seconds(), *revealed_seconds()]  # before what takes memory of its own
    figures += [*sweep_seconds(), *figure_four_rows()]

    def row(what: str, measured: float, cap: float | None = None) -> None:
        table.add_row(what, f"{measured:.3g}", "" if cap is None else f"{cap:g}")

    engine = 0.0
    for k, repeat, cap, sympy_cap in ((1, 9, None, None), (2, 9, 0.05, None), (3, 5, 0.2, 0.5), (4, 3, 2, 3)):
        engine = seconds(lambda k=k: kstep.k_step_risk_expr(k), repeat)
        words = kstep.k_step_risk_expr(k)
        powers = sum(len(c.as_ordered_terms()) for c in words.terms.values())
        row(f"k_step_risk_expr({k}): {len(words.terms)} words, {powers} terms", engine, cap)
        if sympy_cap is not None:
            row(
                f"as a SymPy expression, k = {k}",
                seconds(lambda k=k: raise_scalar(kstep.k_step_risk_expr(k)), 3),
                sympy_cap,
            )
    oracle = seconds(lambda: pairings.pairing_mean(pairings.risk(4)), 1)
    row("k = 4 by enumerating pairings", oracle)
    table.add_row("    the engine is faster by a factor of", f"{oracle / engine:.0f}", "≥ 50")
    # At k = 5 the enumeration would take an hour: its pairings at its rate at k = 4.
    five = seconds(lambda: kstep.k_step_risk_expr(5), 1)
    count4, count5 = (
        sum(prod(range(1, 2 * word.count("S"), 2)) for (word,) in pairings.risk(k)) for k in (4, 5)
    )
    row("k_step_risk_expr(5)", five)
    row(f"k = 5 by enumerating {count5:,} pairings, extrapolated", oracle * count5 / count4)
    table.add_row("    the engine is faster by a factor of", f"{oracle * count5 / count4 / five:.0f}", "")

    d, n = 200, 5000
    source = np.random.default_rng(0)
    root = source.normal(size=(d, d))
    Sigma = root @ root.T / d + 0.1 * np.eye(d)
    V = -np.linalg.inv(Sigma) + 0.01 * source.normal(size=(d, d))
    for k, cap in ((1, None), (2, None), (3, 0.1), (4, 0.3)):
        first = seconds(lambda k=k: k_step_risk(V, Sigma, n, k), 1, lambda: None)
        value, bound = k_step_risk_bound(V, Sigma, n, k)
        row(
            f"k_step_risk at d = {d}, k = {k}: {value:.6g} ± {bound:.1g}",
            seconds(lambda k=k: k_step_risk(V, Sigma, n, k), 7, lambda: None),
            cap,
        )
        row("    the first call, which derives", first)

    for blocks, count in ((2, 1), (2, 2000), (5, 200), (1000, 200)):
        levels = np.exp(source.normal(size=(3, blocks)))
        task = dict(zip(("post", "pre", "test"), levels, strict=True))
        betas = np.linspace(0.01, 5, count)
        row(
            f"sft_risk_limit, {blocks} blocks, {count} β",
            seconds(
                lambda task=task, betas=betas, blocks=blocks: sft_risk_limit(
                    beta=betas, aspect=0.6, eta=0.2, weights=np.full(blocks, 1 / blocks), **task
                ),
                51,
                lambda: None,
            ),
            1e-3 if blocks < 10 else None,
        )
    for line in figures:
        table.add_row(line.what, line.measured, line.held_to)
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
