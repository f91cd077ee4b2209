"""Mutants that are no wrong statements, and why: by (id, form), then by name or regular expression."""

from __future__ import annotations

import re

EXPLAINED: dict[tuple[str, str], dict[str, str]] = {
    ("abs-i.b", "corrected"): {
        "E_U transposed": "E is symmetric, as Ṽ_∞P_U and Γ⁻¹P_U are",
        "the side of the other sign": "E and F enter the error twice each",
    },
    ("app-D-end.b", "printed"): {
        "the side of the other sign|mu\\[2\\] squared|1/mu\\[1\\]: exponent 0": "a weaker bound, and as true",
    },
    ("app-E-opnorm.a", "corrected"): {"M_os transposed": "a matrix and its transpose have one norm"},
    ("app-E-opnorm.b", "printed"): {"M_os transposed": "a matrix and its transpose have one norm"},
    ("app-E-opnorm.c", "corrected"): {"M_os transposed": "a matrix and its transpose have one norm"},
    ("eq-6.1", "printed"): {
        "the side doubled": "∝ leaves a positive constant free",
        "B → B . 1|1/B: exponent (0|-2)": "free of k and ρ, as the constant of ∝ is",
        "k → k . 1": "(k ± 1)² lies between multiples of k², for k ≥ 2",
        "M_tau transposed": "a matrix and its transpose have one spectral radius",
    },
    ("eq-B.14", "printed"): {r"Label\(indicator, beta [<>] 1\) squared": "an indicator is its square"},
    ("eq-B.15", "printed"): {r"Label\(indicator, beta [<>] 1\) squared": "an indicator is its square"},
    ("eq-C.17.c", "printed"): {
        r"A\*\*2 (dropped|doubled|of the other sign)|A\*\*2: exponent [13]": "1/d of the whole",
    },
    ("eq-C.32.a", "corrected"): {"(D_1|D_pre|Sigma_A) transposed": "diagonal there"},
    ("eq-C.33", "printed"): {"(D_1|D_pre|Sigma_A) transposed": "diagonal there"},
    ("eq-C.34", "printed"): {"(D_1|D_pre|Sigma_A) transposed": "diagonal there"},
    ("eq-C.38", "corrected"): {"(D_1|D_pre|Sigma_A) transposed": "diagonal there"},
    ("eq-C.4", "printed"): {"(D_1|D_pre|Sigma_A) transposed": "diagonal there"},
    ("eq-C.41.b", "printed"): {r"Label\(indicator, beta [<>] 1\) squared": "an indicator is its square"},
    ("eq-C.6", "printed"): {"(D_1|D_pre|Sigma_A) transposed": "diagonal there"},
    ("eq-C.60", "printed"): {"D_block_[12] squared": "projections"},
    ("eq-C.70", "printed"): {"D_block_[12] squared": "projections"},
    ("eq-C.71", "printed"): {"D_block_2 squared": "a projection"},
    ("ext-limit.a", "printed"): {
        r"I - u_hat\*u_hat.T squared": "a projection",
        r"sqrt\(chi_square\)\*\(I - u_hat\*u_hat.T\)\*h of the other sign": "h and −h have one law",
    },
    ("ext-os-bound", "printed"): {"M_os transposed": "a matrix and its transpose have one norm"},
    ("ext-os-null", "printed"): {"V transposed": "Ṽ is symmetric there"},
    ("ext-revealed.a", "printed"): {
        r"chi\[-l \+ n \+ 1\]\*q_l of the other sign": "z_l and −z_l have one zzᵀ, and h is symmetric",
        r"\(I - Q_l\*Q_l.T\)\*h_l of the other sign": "h is symmetric",
        r"I - Q_l\*Q_l.T squared": "a projection",
    },
    ("ext-revealed.b", "printed"): {
        "the side of the other sign": "the norm is even, and so is the law of what is revealed",
    },
    ("ext-rl.i", "printed"): {
        "e_policy of the other sign|.*z_policy of the other sign": "z is symmetric, and the norm even",
    },
    ("fig-5.b", "printed"): {"the side doubled|2 → 3": "a weaker bound, and as true"},
    ("prop-B.2-ii.b", "printed"): {
        r"Label\(O, 1/r\) (doubled|of the other sign|squared)|1/r: exponent -2": "O is as true",
    },
    ("sec-5.1-allocation", "printed"): {"P_U left out": "Σ₀ commutes with P_U there"},
    ("sec-5.1-complement.c", "corrected"): {
        "-1 → [01]|-P_U doubled": "I − P_U stands on the other side too, and all commute",
    },
    ("sec-5.1-operator", "corrected"): {"P_U left out": "A and Σ_U act on U alone"},
    ("sec-6-curvature.a", "printed"): {
        "the side doubled": "∝ leaves a positive constant free",
        "k → k . 1": "(k ± 1)² lies between multiples of k², for k ≥ 2",
    },
    ("sec-6-curvature.b", "printed"): {
        "the side of the other sign": "a weaker bound, and as true",
    },
    ("sec-7.a", "printed"): {
        "the side doubled|C_step (squared|left out)": "C is any positive constant",
        "k → k . 1": "of the order of k², as it is claimed",
    },
}


def _matches(pattern: str, name: str) -> bool:
    try:
        return re.fullmatch(pattern, name) is not None
    except re.error:  # a name, with brackets that pair up to nothing
        return False


def reason(id: str, form: str, name: str) -> str | None:
    """Why the mutant called ``name`` is no wrong statement, if that is known."""
    for pattern, why in EXPLAINED.get((id, form), {}).items():
        if name == pattern or _matches(pattern, name):
            return why
    return None
