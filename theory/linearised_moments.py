"""What can be had in closed form of the noise term: moments of Q given by a Wishart matrix, and one block.

M = AΩ, Q = M†Σ²M†ᵀ, Z = E[Σ_τ Q_ττ w*_τw*_τᵀ].  For B ≥ d + 2, Q = Ω†FΩ†ᵀ with F = A⁻¹Σ²A⁻¹ and every
moment here is rational in d and B; for B < d so it is where A = aI and Σ = σI ("one block").  The
statements are those of :mod:`theory.linearised_noise`.  Notes: ``notes/linearised.md``.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

import sympy as sp

from theory import error_term_formulas as fm
from theory import linearised_words as lw
from theory import notation as nt
from theory.block_symbols import aspect, beta
from theory.notation import eta
from theory.wishart import inverse_mean
from theory.words.letters import Letter, inverse_letter, pinv_letter
from theory.words.poly import Matrix, Scalar, identity, letter, substitute

d, B = nt.d, nt.B
n = nt.n
# Means over the d directions: of A, F, AF, A⁻¹, HA, HA², HAFA for a fixed bounded H.
a_mean, f_mean, af_mean, inverse_mean_a, ha_mean, ha2_mean, hafa_mean, h_mean, hf_mean = sp.symbols(
    "m_A m_F m_AF m_A^-1 m_HA m_HA^2 m_HAFA m_H m_HF", positive=True
)
level, share = sp.symbols("a v", positive=True)  # of one block: A = aI, (1/d) tr(V_SV_Sᵀ) = v
_A, _SIGMA, _Q, _H, _M, _V_S, _SIGMA_A = (
    nt.letter_of(x) for x in (nt.A, nt.Sigma, lw.Q, lw.H, lw.M, fm.V_S, fm.Sigma_A)
)

# B ≥ d + 2 --------------------------------------------------------------------------------------------


@cache
def product_moment() -> tuple[sp.Expr, sp.Expr]:
    """(p, s) of E[tr(G⁻¹F) G] = pF + s tr(F) I for symmetric F, G = ΩΩᵀ with B ≥ d + 2 columns N(0, I).

    The form is forced by rotations.  F = I in the trace: tr G is independent of G/tr G and χ² with dB
    degrees of freedom, so E[tr(G⁻¹) tr G] = E[tr G⁻¹](dB − 2).  Contracting the two slots of F and G⁻¹
    with that of G: Σ (G⁻¹)_ab G_ab = d.
    """
    p, s, more = sp.symbols("p s m", positive=True, integer=True)
    size = Letter("C", d, d, symmetric=True)
    degrees = d + 1 + more
    weight = next(iter(inverse_mean(size, degrees).terms.values()))  # of E[(G/B)⁻¹] = weight · C⁻¹
    trace = (d * weight / degrees).subs(more, B - d - 1)
    found = sp.solve([d * (p + s * d) - trace * (d * B - 2), p * (d + 1) / 2 + s - 1], [p, s], dict=True)
    return sp.factor(found[0][p]), sp.factor(found[0][s])


def weighted_square() -> tuple[sp.Expr, sp.Expr]:
    """(x, y) of Z = xF + y tr(F) I for B ≥ d + 2.

    w*_τ = G^{1/2}h with h of isotropic direction, independent of G, and |h|² ~ Beta(d/2, (B−d)/2), so that
    E[(hᵀXh)hhᵀ] = (tr(X) I + 2X)/(B(B+2)); summed over τ, Z = (E[tr(G⁻¹F)G] + 2F)/(B + 2).
    """
    p, s = product_moment()
    return sp.factor((p + 2) / (B + 2)), sp.factor(s / (B + 2))


def trace_of_Q() -> sp.Expr:
    """E tr Q = tr(F)/(B − d − 1), per tr F."""
    return 1 / (B - d - 1)


def means_above() -> dict[str, sp.Expr]:
    """The left sides of (C.17) by its parts, (C.18), (C.19) and (C.40), exactly, for B ≥ d + 2.

    V_S = −ηA⁻¹ is not random there, so that the mean over Ω of (C.16) is what Z gives.
    """
    x, y = weighted_square()
    norms = x * d * af_mean + y * d * f_mean * d * a_mean  # tr(AZ)
    whole = norms * d * ha_mean + x * d * hafa_mean + y * d * f_mean * d * ha2_mean
    noise = eta**2 * (norms * d * inverse_mean_a + (x + y * d) * d * f_mean) / (n * d)  # tr(Z) beside it
    return {
        "eq-C.17.a": x * d * hf_mean + y * d * f_mean * d * h_mean,
        "eq-C.17.b": norms,
        "eq-C.17.c": whole / n,
        **dict.fromkeys(("eq-C.18", "eq-C.19.b", "eq-C.40"), noise),
    }


def printed_above(expression: Scalar) -> sp.Expr:
    """A printed product of traces at V_S = −ηA⁻¹, MM† = I, each by its mean."""
    a, h = letter(_A), letter(_H)
    inverse = letter(inverse_letter(_A))
    words = substitute(expression, {_V_S: inverse * -eta, _SIGMA_A: (a * a.trace() + a @ a) * (1 / d)})
    known = {a: a_mean, inverse: inverse_mean_a, h @ a: ha_mean, h @ a @ a: ha2_mean, h: h_mean}
    return _by_traces(words, {key: d * value for key, value in known.items()}, trace_of_Q() * d * f_mean)


# One block, B < d ---------------------------------------------------------------------------------------


def norm_over_distance() -> sp.Expr:
    """E[‖w‖²/‖(I − Π')w‖²] for w ~ N(0, I_d) and a projection Π' of rank B − 1 independent of w: the mean
    of 1/X, X ~ Beta((d−B+1)/2, (B−1)/2)."""
    p, r = sp.symbols("p r", positive=True)

    def beta_function(first: sp.Expr, second: sp.Expr) -> sp.Expr:
        return sp.gamma(first) * sp.gamma(second) / sp.gamma(first + second)

    mean = sp.gammasimp(beta_function(p - 1, r) / beta_function(p, r))
    return sp.factor(mean.subs({p: (d - B + 1) / 2, r: (B - 1) / 2}))


def means_below() -> dict[str, sp.Expr]:
    """The same for one block and B ≤ d − 2, per E tr Q: Q = (σ/a)²(ΩᵀΩ)⁻¹, so that Q_ττ‖w*_τ‖² is (σ/a)²
    times ‖w*_τ‖² over its squared distance from the others, Z is isotropic, and V_SAw*_τ = −ηw*_τ."""
    norms = norm_over_distance() * (d - B - 1)  # E[Σ Q_ττ‖w*_τ‖²]/E tr Q
    noise = norms * (level * level * d * share + eta**2) / (n * d)
    return {
        "eq-C.17.a": norms * h_mean,
        "eq-C.17.b": level * norms,
        "eq-C.17.c": level**2 * norms * (d * h_mean + h_mean) / n,
        **dict.fromkeys(("eq-C.18", "eq-C.19.b", "eq-C.40"), noise),
    }


def printed_below(expression: Scalar) -> sp.Expr:
    """A printed product of traces for A = aI, per E tr Q."""
    scaled, v, h = identity(d) * level, letter(_V_S), letter(_H)
    words = substitute(expression, {_A: scaled, _SIGMA_A: identity(d) * (level**2 * (1 + 1 / d))})
    return _by_traces(words, {v @ v.T: d * share, h: d * h_mean}, sp.Integer(1))


def _by_traces(words: Scalar, values: Mapping[Matrix, sp.Expr], trace_of_q: sp.Expr) -> sp.Expr:
    """``words`` with the traces of the keys replaced; tr(Σ²M†ᵀM†) and tr(ΣM†ᵀM†) are traces of a Q too.

    Raises :class:`KeyError` for a trace without a value.
    """
    plus, sigma = letter(pinv_letter(_M)), letter(_SIGMA)
    traces = [letter(_Q), sigma @ sigma @ plus.T @ plus, sigma @ plus.T @ plus]
    table = {next(iter(key.trace().terms))[0]: value for key, value in values.items()}
    table |= {next(iter(key.trace().terms))[0]: trace_of_q for key in traces}
    total = sum(c * sp.prod([table[word] for word in key]) for key, c in words.terms.items())
    return sp.sympify(total).subs(aspect, d / n)


CASES = ("B ≥ d + 2, any levels", "B ≤ d − 2, one block")


def limits(id: str, printed: Scalar) -> dict[str, sp.Expr]:
    """The limits, as d → ∞ at B = βd, of the exact mean over what is printed for it."""
    ratios = (means_above()[id] / printed_above(printed), means_below()[id] / printed_below(printed))
    found = (sp.limit(sp.cancel(x.subs(B, beta * d)), d, sp.oo) for x in ratios)
    return dict(zip(CASES, found, strict=True))


# One block: the limits of the risk ----------------------------------------------------------------------

fit, start = sp.symbols("x y", positive=True)  # x = ησ/a, y = σ/σ₀


def _assembled(bias: sp.Expr, size: sp.Expr, noise: sp.Expr) -> sp.Expr:
    """Bias and noise, and γ Σ̄ (1/d) tr(VΣVᵀ) of the test prompts: γ times (``size`` + ``noise``)."""
    return bias + noise + aspect * (size + noise)


def _pretrained() -> sp.Expr:
    """σ times the level of Γ₀⁻¹, 1/(σ₀(1 + γ))."""
    return start / (1 + aspect)


def minimiser_risk(above: bool) -> sp.Expr:
    """lim Err(Ṽ_*) for one block, β > 1 or below, all prompts of one length.

    Ω = LΦ + R with L = 1/(a(1+γ)) and R independent of Φ, columns N(0, γ/(1+γ) I): Ṽ_* = −ηLΠ_Φ −
    Γ₀⁻¹(I − Π_Φ) − ηRΦ†, and (1/d) tr((ΦΦᵀ)†) tends to β/(1−β), or 1/(β−1), over a²(1 + γ).
    """
    shrunk, y = fit / (1 + aspect), _pretrained()
    kept = sp.Integer(1) if above else beta
    spread = 1 / (beta - 1) if above else beta / (1 - beta)
    noise = shrunk**2 * aspect * spread
    return _assembled(
        (1 - y) ** 2 * (1 - kept) + (1 - shrunk) ** 2 * kept, y**2 * (1 - kept) + shrunk**2 * kept, noise
    )


def linear_risk(above: bool, complete: bool = False) -> sp.Expr:
    """lim Err(V_S + V_N) for one block: F(β) of (B.10), T_inv T_var being what is put in here; with
    ``complete`` the term of first order that V_N lacks, (Γ₀⁻¹ − ηA⁻¹)M†ᵀEᵀ(I − MM†), included."""
    y = _pretrained()
    kept = sp.Integer(1) if above else beta
    spread = 1 / (beta - 1) if above else beta / (1 - beta)
    size = y**2 * (1 - kept) + fit**2 * kept
    noise = aspect * spread * size
    if complete:
        noise += 0 if above else aspect * beta * (y - fit) ** 2
    return _assembled((1 - y) ** 2 * (1 - kept) + (1 - fit) ** 2 * kept, size, noise)


def excess(above: bool, complete: bool = False) -> sp.Expr:
    """The limit of Err(V_S + V_N) − Err(Ṽ_*) at any γ."""
    return linear_risk(above, complete) - minimiser_risk(above)


def first_order(expression: sp.Expr) -> sp.Expr:
    """lim of ``expression``/γ as γ → 0, for an expression that vanishes there."""
    return sp.factor(sp.limit(sp.cancel(expression / aspect), aspect, 0))
