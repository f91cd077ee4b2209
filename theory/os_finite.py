"""Outcome supervision from finitely many prompts: its minima, its risk, and how both depend on k.

Beyond arXiv:2603.01293, whose Figure 4 and Insight 3 say how the risk falls with B and n.
Notes: ``notes/os_finite.md``.
"""

from __future__ import annotations

from functools import cache

import sympy as sp

from theory import exact, finetuning
from theory import notation as nt
from theory.block_symbols import beta
from theory.errors import check_count
from theory.interference import err, slope, spike
from theory.kstep import SIGMA, S, by_power, c, collapse
from theory.lower import lower_matrix
from theory.notation import B, I, Omega, Phi, S_tau, V, d, k, n, tau, w_star_tau
from theory.statement import BEYOND, Statement, register
from theory.wishart import expectation
from theory.words.letters import Factor
from theory.words.poly import Matrix, identity, letter, replace_word

# Derivations ---------------------------------------------------------------------------------------


def error_where_interpolated(steps: int) -> Matrix:
    """(I + ṼS)^k w* with ṼS w* = −w* put in: zero, as one step already is.  Words, d × 1."""
    v, s, star = (letter(nt.letter_of(a)) for a in (V, nt.S, nt.w_star))
    pattern = tuple(Factor(nt.letter_of(a)) for a in (V, nt.S, nt.w_star))
    error = star
    for _ in range(steps):
        error = replace_word(error + v @ s @ error, pattern, -star)
    return error


def normal_equation_gap() -> Matrix:
    """B times the gradient of 1/(2B)‖Ω + ṼΦ‖_F² at (4.1) with η = 1: zero."""
    end = lower_matrix(FIXED_POINT)
    return (finetuning.omega + end @ finetuning.phi) @ finetuning.phi.T


def unmoved_part() -> Matrix:
    """What (4.1) with η = 1 has changed of −Γ₀⁻¹ off range(Φ), where no gradient (Ω + ṼΦ)Φᵀ reaches: zero."""
    return (lower_matrix(FIXED_POINT) - finetuning.init) @ finetuning.eye_minus_projection()


@cache
def one_step_noise() -> sp.Expr:
    """E‖(I − cS)w‖²‖Sw‖² over w ~ N(0, I) and S of n samples of N(0, I_d), a polynomial in c."""
    s, one = letter(S), identity(d)
    miss, square = (one - s * c).power(2), s @ s
    # E‖Xw‖²‖Yw‖² = tr XᵀX tr YᵀY + 2 tr XᵀXYᵀY
    mean = expectation(miss.trace() * square.trace() + (miss @ square).trace() * 2, S, SIGMA, n)
    return by_power(collapse(mean, lambda word: d), c)


def one_step_rate() -> sp.Expr:
    """lim B(R_1(V_B) − R_1(V_OS)) at A = I: the sandwich tr H⁻¹E[gradient²] of least squares.

    With e = w + ṼSw and u = Sw the minimiser is off by −Σeuᵀ(Σuuᵀ)⁻¹, and the risk by E‖e‖²‖u‖²/(Bq), where
    E uuᵀ = qI.
    """
    square = letter(S) @ letter(S)
    q = collapse(expectation(square.trace(), S, SIGMA, n), lambda word: d) / d
    return sp.factor(sp.simplify((one_step_noise() / q).subs(c, n / (n + d + 1))))


def moment(power: int) -> sp.Expr:
    """E S^power at d = 1, A = 1: Π (n + 2i)/n, S = χ²_n/n."""
    return sp.Mul(*((n + 2 * i) / n for i in range(power)))


def scalar_mean(of: sp.Expr, s: sp.Symbol) -> sp.Expr:
    """E of a polynomial in S = s at d = 1."""
    return sp.Add(*(q * moment(power) for (power,), q in sp.Poly(sp.expand(of), s).terms()))


def scalar_rate(steps: int) -> sp.Expr:
    """lim B(R_k(V_B) − R_k(V_OS)) at d = 1, in c = −V_OS, from the derivatives of ½w²(1 − cS)^{2k}.

    E[slope²]/E[bend]: V_B is off by −Σ slope/Σ bend, and the risk is twice the loss.  Raises
    :class:`ArgumentError` for k < 1.
    """
    check_count("steps", steps)
    s = sp.Symbol("s")
    loss = (1 - c * s) ** (2 * steps) / 2
    task_fourth = 3  # E w⁴, where E w² = 1
    noise = scalar_mean(task_fourth * sp.diff(loss, c) ** 2, s)
    return noise / scalar_mean(sp.diff(loss, c, 2), s)


def prompts_to_floor(depth: int) -> sp.Expr:
    """lim of ``scalar_rate``/R_k as n → ∞: 1 − c_k S is √(2/n) g there, g ~ N(0, 1), and S is 1."""
    g = sp.Symbol("g")
    noise = 3 * depth**2 * exact.gaussian_mean(g ** (4 * depth - 2), [g])
    bend = depth * (2 * depth - 1) * exact.gaussian_mean(g ** (2 * depth - 2), [g])
    return noise / bend / exact.gaussian_mean(g ** (2 * depth), [g])


# Statements ----------------------------------------------------------------------------------------

FIXED_POINT = finetuning.FIXED_POINT.subs(nt.eta, 1)
ONE_STEP_RATE = (
    d * (d + 2) * ((d + 1) * n**2 + 2 * (d**2 + d + 6) * n + d**3 + d**2 + 3 * d + 19) / (d + n + 1) ** 3
)
PROMPTS_TO_FLOOR = 3 * k * sp.factorial2(4 * k - 3) / sp.factorial2(2 * k - 1) ** 2
B_EQUAL = nt.scalar_symbol("B_equal", r"B_{=}", positive=True)
steps, V_t = nt.scalar_symbol("steps", "t", integer=True), nt.matrix("V_t", d, d, r"\widetilde{V}_{t}")
_V_B = nt.matrix("V_B", d, d, r"\widetilde{V}_{B}")
_V_OS = nt.matrix("V_OS", d, d, r"\widetilde{V}_{\mathrm{OS}}")
_GAP = nt.FrobeniusSquared(Omega + V * Phi)
_LOSS = sp.Sum(nt.NormSquared((I + V * S_tau) ** k * w_star_tau), (tau, 1, B)) / (2 * B)
_FIGURE = "the setting of Figure 4 with Δ on the directions where Σ₀ = 0.1, prompts from Δ, rank A = d/5"
_TRAINED = "gradient descent on L_OS from −Γ₀⁻¹, its step 1/λ_max of the Hessian there"
_SMALL = "d = 50, the levels of Figure 4; the one-step risk as there"
_S_HAT = nt.Sigma_hat


def risk_at(*arguments: sp.Basic) -> nt.Label:
    """R_k of the trained Ṽ_B."""
    return nt.Label(sp.Symbol(r"\mathrm{R}"), *arguments)


def _excess(depth: sp.Expr) -> sp.Expr:
    one, other = (nt.Expectation(nt.FrobeniusSquared((I + M * _S_HAT) ** depth)) for M in (_V_B, _V_OS))
    return B * (nt.Expectation(one, r"\widetilde{V}_{B}") - other)


register(
    Statement(
        "ext-os-finite.a",
        BEYOND,
        "At k = 1 outcome supervision is fine-tuning at η = 1: loss, and end of gradient descent from −Γ₀⁻¹",
        nt.Lines(
            nt.Chain(nt.Label(nt.L_OS, V, I), _GAP / (2 * B)),
            nt.Tends(V_t, steps, sp.oo, FIXED_POINT),
        ),
        assumptions=("W̃ = I", "k = 1", "any B, n, A", "step size below 2/λ_max"),
        depends_on=("prop-6.1.b", "thm-4.1"),
        note="So all that is known of (4.1) holds for it with η = 1, the exact limit of its risk included.",
    )
)
register(
    Statement(
        "ext-os-finite.b",
        BEYOND,
        "At k = 1 the risk of outcome supervision does not fall with B: it rises to a pole at B = rank A",
        nt.Listing(
            nt.Tends(err(beta), beta, spike, sp.oo),
            sp.Gt(slope(beta, beta), 0, evaluate=False),
            sp.Symbol(r"\beta_{\circ} < \beta < \mathrm{rank}(A)/d"),
            sp.Lt(slope(beta, beta), 0, evaluate=False),
            sp.Symbol(r"\beta > \mathrm{rank}(A)/d"),
        ),
        assumptions=(_FIGURE, "n = d, 2d, 4d", "d, n, B → ∞ in proportion"),
        depends_on=("ext-os-finite.a", "sec-5.2-divergence.b"),
        note="1.19 d, 5.5 d, 17 d, 1.4 d at B = 5, 15, 22, 60 of d = 100, n = d.  The pretrained model has "
        "0.68 d, which it takes 300 prompts to beat: 64 and 33 at n = 2d and 4d.  β_∘ = 0 at n = d and 2d, "
        "0.045 at 4d.",
    )
)
register(
    Statement(
        "ext-os-finite.c",
        BEYOND,
        "Ṽ with ṼΦ = −Ω, so (4.1) at η = 1 for B ≤ rank A, has zero loss at every k; for k ≥ 2 others do",
        nt.Lines(
            sp.Implies(
                sp.Eq(V * Phi, -Omega, evaluate=False), sp.Eq(_LOSS, 0, evaluate=False), evaluate=False
            ),
            nt.Listing(
                sp.Eq(nt.Label(nt.L_OS, V, I), 0, evaluate=False),
                sp.Gt(_GAP, 0, evaluate=False),
                sp.Symbol(r"\text{for some }\widetilde{V}, k \geq 2"),
            ),
        ),
        assumptions=("W̃ = I",),
        depends_on=("prop-6.1.b",),
        note="M w* = w* + Ṽ S w* = 0 in one step.  Another: d = 2, S = I, w* = e_1, Ṽ = [[−1, 0], [1, −1]], "
        "where M² = 0 and M w* = e_2.  What is zero at k is zero at k + 1: the set of minima grows with k.  "
        "At d = 1 there are no others.",
    )
)
register(
    Statement(
        "ext-os-finite.d",
        BEYOND,
        "For B < rank A training at k = 2 ends at another of its minima, with less risk than k = 1",
        nt.Listing(
            sp.Gt(nt.FrobeniusSquared(Omega + _V_B * Phi), 0, evaluate=False),
            sp.Lt(risk_at(_V_B), risk_at(FIXED_POINT), evaluate=False),
        ),
        assumptions=(_SMALL, "n = 2d", "B below rank A, from −Γ₀⁻¹"),
        depends_on=("ext-os-finite.c",),
        qualitative=True,
        note="At B = rank A/2 after 100 steps 1.06 d against 2.31 d for k = 1, which has converged; after "
        "1000 steps 1.31 d, still rising.  At B = 3 of rank 10 two training sets of three end nearer to "
        "−Γ₀⁻¹ than (4.1) does.",
    )
)
register(
    Statement(
        "ext-os-finite.e",
        BEYOND,
        "Stopped early, outcome supervision at k = 2 falls with B right through rank A",
        sp.Lt(slope(B, B), 0, evaluate=False),
        assumptions=(_TRAINED, _SMALL, "n = 2d", "30 steps", "B = 1/2, 3/2, 6 times rank A"),
        depends_on=("ext-os-finite.b",),
        qualitative=True,
        note="0.84 d, 0.66 d, 0.50 d from 0.98 d of the pretrained model; k = 1 converged has 2.2 d, 3.5 d, "
        "0.65 d.  The directions that Δ makes unstable are put right first, the noise is fitted later.",
    )
)
register(
    Statement(
        "ext-os-finite.f",
        BEYOND,
        "Trained for long, k = 2 has a peak in B as well, beyond rank A",
        nt.Listing(
            sp.Gt(slope(B, B), 0, evaluate=False),
            sp.Symbol(r"\frac{1}{2} \mathrm{rank}(A) < B < \frac{3}{2} \mathrm{rank}(A)"),
            sp.Lt(slope(B, B), 0, evaluate=False),
            sp.Symbol(r"\frac{3}{2} \mathrm{rank}(A) < B < 6 \, \mathrm{rank}(A)"),
        ),
        assumptions=(_TRAINED, _SMALL, "n = 2d", "500 steps"),
        depends_on=("ext-os-finite.e",),
        qualitative=True,
        note="After 500 steps 1.3 d, 2.0 d, 0.96 d.  At d = 100, n = 200 L-BFGS, not yet at rest after 5000 "
        "iterations, is at 47 d for B = 30 and k = 2, where k = 1 has 3.2 d.",
    )
)
register(
    Statement(
        "ext-os-finite.g",
        BEYOND,
        "The risk of k = 2 falls with the number of steps, then rises: early stopping is what keeps it low",
        nt.Listing(
            sp.Lt(slope(steps, steps), 0, evaluate=False),
            sp.Symbol(r"\text{for } t < t_{\circ}"),
            sp.Gt(slope(steps, steps), 0, evaluate=False),
            sp.Symbol(r"\text{for } t > t_{\circ}"),
        ),
        assumptions=(_TRAINED, _SMALL, "n = 2d", "B = 3/2 rank A"),
        depends_on=("ext-os-finite.e",),
        qualitative=True,
        note="0.98 d, 0.66 d, 2.0 d after 0, 20, 500 steps: a factor of 3.  At B = 10 rank A it is "
        "0.47 d after 30 and 0.72 d after 1000.",
    )
)
register(
    Statement(
        "ext-os-finite.h",
        BEYOND,
        "Longer prompts lower the risk of k = 2 after many steps and raise it after few",
        nt.Listing(
            sp.Lt(slope(n, n), 0, evaluate=False),
            sp.Symbol(r"\text{at } t = 500"),
            sp.Gt(slope(n, n), 0, evaluate=False),
            sp.Symbol(r"\text{at } t = 5"),
        ),
        assumptions=(
            _TRAINED.replace("its step 1/λ_max", "its step 1/(2λ_max)"),
            _SMALL,
            "one n for all prompts, n = 2d and 8d",
            "B = 3/2 rank A",
        ),
        depends_on=("ext-os-finite.g",),
        qualitative=True,
        note="1.4 d and 0.5 d after 500 steps, 0.8 d and 3.2 d after 5.  Long pretraining prompts leave "
        "−Γ₀⁻¹ farther outside the stable region: 0.98 d and 4.7 d before the first step.",
    )
)
register(
    Statement(
        "ext-os-finite.i",
        BEYOND,
        "The excess over the minimum of the population falls like 1/B: k = 1, A = I, every d and n",
        nt.Tends(_excess(sp.Integer(1)), B, sp.oo, ONE_STEP_RATE),
        assumptions=("W̃ = I", "A = I", "V_B the minimiser on B prompts"),
        depends_on=("ext-os.a",),
        note="At d = n = 1 it is 14/3.  Over the least risk, d(d+1)/(n+d+1), it is (d+2)/B for long prompts.",
    )
)
s = sp.Symbol("S", positive=True)  # the covariance at d = 1, S = χ²_n/n


def printed_scalar_rate(depth: sp.Expr) -> sp.Expr:
    """3k E[S²(1 − cS)^{4k−2}] / ((2k − 1) E[S²(1 − cS)^{2k−2}]), the means unevaluated."""
    noise = nt.Expectation(s**2 * (1 - c * s) ** (4 * depth - 2))
    bend = nt.Expectation(s**2 * (1 - c * s) ** (2 * depth - 2))
    return 3 * depth * noise / ((2 * depth - 1) * bend)


register(
    Statement(
        "ext-os-finite.j",
        BEYOND,
        "The excess over the minimum of the population falls like 1/B: d = 1, every k and n, c = −V_OS",
        nt.Tends(_excess(k), B, sp.oo, printed_scalar_rate(k)),
        assumptions=("W̃ = I", "d = 1, A = 1", "V_B the minimiser on B prompts"),
        depends_on=("ext-os.b", "ext-os-finite.i"),
        note="At n = 3 and k = 2 it is 20, and at B = 1600 the excess times B is still half of that: for "
        "short prompts the law sets in late.",
    )
)
register(
    Statement(
        "ext-os-finite.k",
        BEYOND,
        "The number of prompts at which that excess equals the least risk itself, long prompts, d = 1",
        nt.Tends(B_EQUAL, n, sp.oo, PROMPTS_TO_FLOOR),
        assumptions=("W̃ = I", "d = 1, A = 1", "the 1/B law of ext-os-finite.j"),
        depends_on=("ext-os-finite.j",),
        note="3, 10, 38, 147 for k = 1 … 4: each step of the chain asks for nearly four times the prompts.  "
        "At n = 60 it is 3.2, 14, 88, 660.  By the leading term: the 1/B law has hardly set in there.",
    )
)
