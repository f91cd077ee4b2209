"""Mutants that are no wrong statements, and why: by (id, form), then by name or regular expression."""

from __future__ import annotations

import re

EXPLAINED: dict[tuple[str, str], dict[str, str]] = {
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
    ("eq-C.17.c", "printed"): {
        r"A\*\*2 (dropped|doubled|of the other sign)|A\*\*2: exponent [13]": "1/d of the whole",
    },
    ("eq-C.32.a", "corrected"): {"(D_1|D_pre|Sigma_A) transposed": "diagonal there"},
    ("eq-C.33", "printed"): {"(D_1|D_pre|Sigma_A) transposed": "diagonal there"},
    ("eq-C.34", "printed"): {"(D_1|D_pre|Sigma_A) transposed": "diagonal there"},
    ("eq-C.38", "corrected"): {"(D_1|D_pre|Sigma_A) transposed": "diagonal there"},
    ("eq-C.4", "printed"): {"(D_1|D_pre|Sigma_A) transposed": "diagonal there"},
    ("eq-C.6", "printed"): {"(D_1|D_pre|Sigma_A) transposed": "diagonal there"},
    ("eq-C.60", "printed"): {"D_block_[12] squared": "projections"},
    ("eq-C.71", "printed"): {"D_block_2 squared": "a projection"},
    ("ext-limit.a", "printed"): {r"I - u_hat\*u_hat.T squared": "a projection"},
    ("ext-os-bound", "printed"): {"M_os transposed": "a matrix and its transpose have one norm"},
    ("ext-os-null", "printed"): {"V transposed": "Ṽ is symmetric there"},
    ("fig-5.b", "printed"): {"the side doubled|2 → 3": "a weaker bound, and as true"},
    ("prop-B.2-ii.b", "printed"): {
        r"Label\(O, 1/r\) (doubled|of the other sign|squared)|1/r: exponent -2": "O is as true",
    },
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
