"""Section 5.2, Figures 1, 2 and 5, Insight 2: evidence for ``theory/interference.py``."""

from __future__ import annotations

import itertools

import pytest
import sympy as sp

from theory import interference
from theory import interference_points as points
from theory import notation as nt
from theory import risk_in_q as rq
from theory.block_symbols import q
from theory.interference_points import ETA, LENGTHS, PANELS, figure
from theory.statement import registry
from verify.checks import interference as check
from verify.checks.interference import Scene
from verify.checks.run import counterexample
from verify.checks.run import exact as symbolic
from verify.surface import value

R = sp.Rational
NINE = list(itertools.product(PANELS, LENGTHS))
FAR = 500  # prompts at d = 50, β = 10: what remains to B → ∞ is a ninth of C₂
ETAS = (R(1, 20), ETA, R(1))


def scene(r, length, **more):
    return Scene(float(r), 400 * length, **more)


def near(of):
    """B at the turning point, d = 400."""
    return round(float(rq.turning_beta(of)[0]) * 400)


def signs(id):
    """The signs that the print gives to slopes: +1 for each >, −1 for each <, in its order."""
    order = {sp.StrictGreaterThan: 1, sp.StrictLessThan: -1}
    printed = registry()[id].printed
    parts = printed.args if isinstance(printed, nt.Listing) else (printed,)
    parts = [part.args[-1] if isinstance(part, sp.Implies) else part for part in parts]
    return [order[type(part)] for part in parts if type(part) in order]


def diverges(limit):
    """1 where the print has the risk grow without bound, 0 where not."""
    return int(limit.args[-1] == sp.oo)


def moves(intervals, way):
    """Whether each interval lies wholly beyond the one before, upwards for ``way`` = 1."""
    pairs = itertools.pairwise(intervals[::way])
    return all(bool(a[1] < b[0]) for a, b in pairs)


def changes(values):
    """The signs of the changes from each value to the next."""
    return [int(sp.sign(sp.N(b - a, 30))) for a, b in itertools.pairwise(values)]


# Allocation and interference --------------------------------------------------------------------------


@pytest.mark.statements("sec-5.2-interference.a")
def test_zero_is_not_the_best(ledger, profile, seed):
    id = "sec-5.2-interference.a"
    ledger.record(id, counterexample(registry()[id]))
    # One block of the risk at B → ∞: (1 − σx)² + γΣ̄σx², x = η/(a + γā), stationary and least at a = ησ.
    x, s, g, bar, eta = sp.symbols("x sigma gamma Sigma_bar eta", positive=True)
    block = (1 - s * x) ** 2 + g * bar * s * x**2
    corrected = registry()[id].corrected
    assert corrected is not None
    level = value(corrected.args[-1], {nt.eta: eta})  # of A, where Σ is 1
    best = level / (level * s + g * level * bar) * eta / level  # a_k = level·σ_k on every block
    stationary = sp.simplify(block.diff(x).subs(x, best)) == 0
    ledger.record(
        id,
        symbolic(
            bool(stationary and block.diff(x, 2).is_positive),
            "each block of the risk at B → ∞ is convex in ηL_k and least at a_k = ησ_k",
            "corrected",
            "derivation",
        ),
    )
    stated, allocations = level.subs(eta, ETA), (R(0), ETA, 2 * ETA)
    places = [(Scene(float(r), 100, d=50, m=25), FAR) for r in allocations]
    wanted = [-1 if (a + b) / 2 < stated else 1 for a, b in itertools.pairwise(allocations)]
    ledger.record(id, check.trend(wanted, places, seed("zero"), profile, "corrected", "r = 0, η, 2η"))


@pytest.mark.statements("sec-5.2-interference.b")
def test_smaller_is_stronger(ledger, profile, seed):
    id = "sec-5.2-interference.b"
    ledger.record(id, counterexample(registry()[id], "outside"))
    # At r < η: ηL_k = η/(a_k + γā) exceeds the best 1/(σ_k + γΣ̄), and falls as r grows.
    r, g, m, rho, eta = sp.symbols("r gamma mu_1 rho eta", positive=True)
    mean = m * eta * (rho + 1) + (1 - m) * r
    falls, exceeds = [], []
    for a, s in ((eta * (rho + 1), rho + 1), (r, sp.Integer(1))):
        bar = m * (rho + 1) + 1 - m
        falls.append(sp.simplify(sp.diff(a + g * mean, r) - ((1 if a == r else 0) + g * (1 - m))) == 0)
        short = sp.factor(eta * (s + g * bar) - (a + g * mean))  # positive: L above the best
        exceeds.append(sp.simplify(short - (eta - r) * ((1 if a == r else 0) + g * (1 - m))) == 0)
    ledger.record(
        id,
        symbolic(
            all(falls + exceeds) and signs(id) == [-1],
            "η(σ_k+γΣ̄) − (a_k+γā) = (η−r)·d(a_k+γā)/dr ≥ 0 on both blocks",
            "condition",
            "derivation",
        ),
    )
    places = [(Scene(r, 100, d=50, m=25), FAR) for r in (0.02, 0.05, 0.1, 0.2)]
    ledger.record(id, check.trend(3 * signs(id), places, seed("stronger"), profile, "condition"))


@pytest.mark.statements("sec-5.2-interference.c")
def test_more_can_be_worse(ledger, profile, seed):
    id = "sec-5.2-interference.c"
    of = figure(R(1, 100), 2)
    rises = [rq.at_beta(of, beta) for beta in (R(3, 8), R(3, 4))]
    longer = [rq.at_beta(figure(R(1, 100), (x, 2, 2)), R(3, 4)) for x in (1, 2)]
    where = "d=400, r=1/100: B from 150 to 300 at n=800; n_post from 400 to 800 at B=300, n_pre=n_test=800"
    ledger.record(id, symbolic(changes(rises) + changes(longer) == signs(id), where))
    short = Scene(0.01, 400, n_pre=800, n_test=800)
    places = [(scene(R(1, 100), 2), 150), (scene(R(1, 100), 2), 300)]
    in_prompts, in_length = ([sign] for sign in signs(id))
    ledger.record(id, check.trend(in_prompts, places, seed("more B"), profile))
    found = check.trend(in_length, [(short, 300), places[1]], seed("more n"), profile, what="n_post")
    ledger.record(id, found)


# Divergence -------------------------------------------------------------------------------------------


def _degree(fraction):
    """The power of q that a rational function follows as q → ∞, with the sign of its coefficient."""
    top, bottom = (sp.Poly(x, q) for x in sp.fraction(sp.together(fraction)))
    return top.degree() - bottom.degree(), sp.sign(top.LC() / bottom.LC())


def _pole(of):
    """Err(Ṽ_*) grows linearly in q, and 1/q falls to 0 linearly in the distance from the spike."""
    curve = rq.curve(of)
    poles = _degree(curve.risk) == (1, 1) and _degree(of.rank - curve.beta) == (-1, 1)
    return poles and rq.excess(of).is_positive


@pytest.mark.statements("sec-5.2-divergence.a", "sec-5.2-divergence.b", "fig-1.a")
def test_divergence(ledger, profile, seed):
    for id, panels in (("sec-5.2-divergence.a", PANELS[1:]), ("sec-5.2-divergence.b", PANELS[:1])):
        holds = all(_pole(figure(r, length)) for r, length in NINE if r in panels)
        _, _, place, value = registry()[id].printed.args
        ranks = {figure(r, 1).rank for r in panels} == {place.subs("mu_1", R(1, 2))} and value == sp.oo
        text = f"linear in q as q → ∞, r = {', '.join(map(str, panels))}, n/d = 1, 2, 3; C₂/(β−rank) beyond"
        ledger.record(id, symbolic(bool(holds and ranks), text))
        r = float(panels[-1])
        sizes = (Scene(r, 20, d=20, m=10), Scene(r, 80, d=80, m=40))
        # One prompt away from a spike is 1/d away in β.
        ledger.record(id, check.growth(float(diverges(registry()[id].printed)), sizes, seed(id), profile))
    id = "fig-1.a"
    (beyond,) = signs(id)
    before = 1 if diverges(registry()[id].printed.args[0]) else -1
    holds = all(_pole(figure(*at)) for at in NINE) and (before, beyond) == (1, -1)
    ledger.record(id, symbolic(holds, "pole and C₁ + C₂/(β−rank), C₂ > 0"))
    for r, share in ((0.0, 0.5), (0.01, 1.0), (0.1, 1.0)):
        at, peak = Scene(r, 400), int(400 * share)
        places = [(at, int(0.8 * peak)), (at, int(0.9 * peak))]
        ledger.record(id, check.trend((before,), places, seed(f"before {r}"), profile))
        at, peak = Scene(r, 100, d=100, m=50), int(100 * share)
        places = [(at, int(0.9 * peak)), (at, peak), (at, int(1.1 * peak)), (at, int(1.4 * peak))]
        ledger.record(id, check.trend((before, beyond, beyond), places, seed(f"peak {r}"), profile))


# Figure 1 ---------------------------------------------------------------------------------------------


@pytest.mark.statements("fig-1.b")
def test_falls_then_rises(ledger, profile, seed):
    id = "fig-1.b"
    first, then = signs(id)
    holds = then == -first and all(rq.turns(figure(r, x, eta)) == (first, 1) for r, x in NINE for eta in ETAS)
    text = "Sturm: slope negative at 0, one turning point; nine curves, η = 1/20, 1/5, 1"
    ledger.record(id, symbolic(holds, text, "condition"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    for r, length in NINE:
        of = figure(r, length)
        # One curve at the paper's d, the others at a quarter of it.
        d = 400 if (r, length) == (R(1, 10), 1) else 100
        at = Scene(float(r), d * length, d=d, m=d // 2)
        low = near(of) * d // 400
        places = [(at, max(1, low // 10)), (at, low), (at, low + round((float(of.rank) * d - low) * 0.6))]
        ledger.record(id, check.trend((first, then), places, seed(f"{r} {length}"), profile, "condition"))
    places = [(Scene(0.0, 400), 50), (Scene(0.0, 400), 80)]
    ledger.record(id, check.trend((first,), places, seed("plotted"), profile, "outside", "from B = 50 on"))


@pytest.mark.statements("fig-1.c")
def test_crossover_grows(ledger, profile, seed):
    id = "fig-1.c"
    (way,) = signs(id)
    for r in PANELS:
        ends = [rq.turning_beta(figure(r, x)) for x in LENGTHS]
        grows = moves(ends, way)
        text = f"r={r}: β = {', '.join(f'{float(a):.4f}' for a, _ in ends)} at n/d = 1, 2, 3"
        ledger.record(id, symbolic(grows, text))
        # Between two turning points the shorter prompts are past theirs, the longer ones before.
        a, b = near(figure(r, 1)), near(figure(r, 2))
        for length, sign in ((1, way), (2, -way)):
            places = [
                (scene(r, length), round(0.75 * a + 0.25 * b)),
                (scene(r, length), round(0.1 * a + 0.9 * b)),
            ]
            ledger.record(id, check.trend((sign,), places, seed(f"{r} between"), profile))


def end_is_higher(id):
    """Whether the print says that the risk at B → ∞ is above the least below the spike."""
    printed = registry()[id].printed
    order = printed.args[-1] if isinstance(printed, sp.Implies) else printed
    end = interference.err(sp.oo)
    assert end in order.args
    assert order.rel_op in "<>"
    return order.gts == end


def exact_order(id, cases, form):
    """The printed order at (r, length, η), by Sturm's theorem."""
    wanted = end_is_higher(id)
    holds = all(points.better_without_end(R(r), x, R(eta)) != wanted for r, x, eta in cases)
    text = ", ".join(f"({r}, {x}, {eta})" for r, x, eta in cases)
    return symbolic(holds, f"Sturm, (r, n/d, η) = {text}", form)


def _end(r, length):
    """Places at d = 50: the turning point, and β = 10."""
    at = Scene(float(r), 50 * length, d=50, m=25)
    return [(at, max(1, round(float(rq.turning_beta(figure(r, length))[0]) * 50))), (at, FAR)]


@pytest.mark.statements("fig-1.d")
def test_stays_above(ledger, profile, seed):
    id = "fig-1.d"
    r, rise = R(1, 100), [1 if end_is_higher(id) else -1]
    strong = [(r, 2, ETA), (r, 3, ETA), (r, 1, R(11, 50))]
    ledger.record(id, exact_order(id, strong, "condition"))
    ledger.record(id, exact_order(id, [(r, 3, R(7, 100))], "outside"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    for length in LENGTHS:
        at = Scene(0.01, 100 * length, d=100, m=50)
        places = [(at, near(figure(r, length)) // 4), (at, 500)]
        found = check.trend(
            rise, places, seed(f"large {length}"), profile, "condition", "β = 5 as at B = 2000"
        )
        ledger.record(id, found)


@pytest.mark.statements("insight-2")
def test_small_sets(ledger, profile, seed):
    id = "insight-2"
    rise = [1 if end_is_higher(id) else -1]
    low = (R("0.0456"), R("0.108"), R("0.141"))
    high = (R("0.0457"), R("0.109"), R("0.142"))
    inside = [(x * ETA / y, length, ETA) for x, length in zip(low, LENGTHS, strict=True) for y in (1, 50)]
    ledger.record(id, exact_order(id, inside, "condition"))
    outside = [(x * ETA * y, length, ETA) for x, length in zip(high, LENGTHS, strict=True) for y in (1, 10)]
    ledger.record(id, exact_order(id, outside, "outside"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    for length in (2, 3):
        places = _end(R(1, 100), length)
        ledger.record(id, check.trend(rise, places, seed(f"strong {length}"), profile, "condition"))
    for length in LENGTHS:
        places = _end(R(1, 10), length)
        ledger.record(id, check.trend(rise, places, seed(f"weak {length}"), profile, "outside"))


# The prompt lengths -----------------------------------------------------------------------------------


def _at_lengths(r, B, many):
    """The exact risk at B of d = 400 for each (post, pre, test) length in ``many``."""
    return [rq.at_beta(figure(r, tuple(R(n, 400) for n in each)), R(B, 400)) for each in many]


BENDS = {  # (r, B): the lengths between which the risk falls, then rises
    (R(1, 100), 50): (20, 130, 400, 1000),
    (R(1, 100), 150): (20, 450, 1000),
    (R(1, 100), 300): (20, 100, 300, 1000),
    (R(1, 10), 50): (20, 95, 300, 1000),
    (R(1, 10), 150): (20, 250, 600, 1000),
}


@pytest.mark.statements("fig-2")
def test_bends_in_length(ledger, profile, seed):
    id = "fig-2"
    first, then = signs(id)
    for (r, B), lengths in BENDS.items():
        wanted = [first] + [then] * (len(lengths) - 2)
        values = _at_lengths(r, B, [(n, n, n) for n in lengths])
        text = f"r={r}, B={B}, n={', '.join(map(str, lengths))}: exact"
        ledger.record(id, symbolic(changes(values) == wanted, text, "condition"))
        if (r, B) in ((R(1, 100), 150), (R(1, 10), 150), (R(1, 10), 50)):
            places = [(Scene(float(r), n // 2, d=200, m=100), B // 2) for n in lengths]
            ledger.record(id, check.trend(wanted, places, seed(f"{r} {B}"), profile, "condition"))
    ledger.record(id, counterexample(registry()[id], "outside"))
    places = [(Scene(0.1, n // 2, d=200, m=100), 150) for n in (300, 600, 1000)]
    ledger.record(id, check.trend((first, then), places, seed("still falling"), profile, "outside"))


@pytest.mark.statements("ext-lengths.a")
def test_longer_post_training_prompts(ledger, profile, seed):
    id = "ext-lengths.a"
    way = signs(id)
    lengths = (20, 100, 300, 1000)
    for r, B in itertools.product(PANELS[:2], (50, 150, 300)):
        past = r == 0 and B > 200
        many = [(n, 800, 800) for n in lengths]
        settings = [figure(r, tuple(R(n, 400) for n in each)) for each in many]
        values = [rq.past_spike(of, R(B, 400)) for of in settings] if past else _at_lengths(r, B, many)
        text = f"r={r}, B={B}, n_post = {', '.join(map(str, lengths))}: exact"
        ledger.record(id, symbolic(changes(values) == 3 * way, text))
    for r, B in ((0.0, 150), (0.01, 300)):
        places = [(Scene(r, n // 2, d=200, m=100, n_pre=400, n_test=400), B // 2) for n in (20, 100, 1000)]
        ledger.record(id, check.trend(2 * way, places, seed(f"{r} {B}"), profile, what="n_pre=n_test=2d"))


@pytest.mark.statements("ext-lengths.b")
def test_longer_pretraining_prompts(ledger, profile, seed):
    id = "ext-lengths.b"
    first, then, way = signs(id)
    lengths = (20, 190, 1000)
    for r, B in itertools.product(PANELS, (50, 150)):
        values = _at_lengths(r, B, [(800, n, 800) for n in lengths])
        text = f"r={r}, B={B}, n_pre = {', '.join(map(str, lengths))}: exact"
        ledger.record(id, symbolic(changes(values) == [first, then], text))
    for r in PANELS:
        ends = [rq.turning_beta(figure(r, (2, x, 2))) for x in LENGTHS]
        grows = moves(ends, way)
        text = f"r={r}: β = {', '.join(f'{float(a):.4f}' for a, _ in ends)} at n_pre/d = 1, 2, 3, others 2"
        ledger.record(id, symbolic(grows, text))
    for r, B in ((0.0, 50), (0.1, 150)):
        places = [(Scene(r, 400, d=200, m=100, n_pre=n // 2, n_test=400), B // 2) for n in lengths]
        ledger.record(
            id,
            check.trend((first, then), places, seed(f"{r} {B}"), profile, what="n_pre/d = 0.05, 0.475, 2.5"),
        )
    a, b = (near(figure(R(0), (2, x, 2))) for x in (2, 3))
    for length, sign in ((2, way), (3, -way)):
        at = Scene(0.0, 800, n_pre=400 * length, n_test=800)
        places = [(at, a + 2), (at, b - 2)]
        text = f"n_pre={400 * length}"
        ledger.record(id, check.trend((sign,), places, seed("between"), profile, what=text))
