"""Figure 3: what its caption says of a decoder of the GPT-2 type.  Notes: ``notes/figure_three.md``."""

from __future__ import annotations

from theory.figure_four import falls, falls_then_rises, flat, rises
from theory.notation import B, k, n
from theory.statement import Statement, register

_PRINTED = "12 layers, 8 heads, width 256; pretrained with 8 steps, trained and tested with 3"
_SMALL = (
    "Measured on 2 layers of width 32 at d = 5, not on the paper's decoder.  Every post-training raises "
    "the test error there, from 0.425 of that of ŵ = 0."
)

for part, title, form, note in (
    (
        "a",
        "SFT: the error falls, then rises with B",
        falls_then_rises(B),
        "Open: least at B = 1024; at B = 6400 it is 1.03 times that (0.98 to 1.08).",
    ),
    (
        "b",
        "SFT: the error falls, then rises with n",
        falls_then_rises(n),
        "Open: it falls up to the longest prompts, n = 16; test prompts of one length leave it undecided.",
    ),
    ("c", "SFT: the error does not depend on k", flat(k), "0.989 times the error of k = 1 at k = 6."),
    (
        "d",
        "OS: the error falls with B",
        falls(B),
        "Open: ×2^(−0.111 ± 0.041) per doubling, but it rises up to B = 64 and from 1024 on.",
    ),
    (
        "e",
        "OS: the error falls with n",
        falls(n),
        "With test prompts as long as those of training; ×2^(−0.059 ± 0.052) per doubling, which settles "
        "nothing, with test prompts of one length.",
    ),
    (
        "f",
        "OS: the error rises with k",
        rises(k),
        "Open: it falls, ×2^(−0.303 ± 0.070) per doubling, the test having three steps whatever k; with "
        "the steps of training it is ×2^(0.009 ± 0.051).",
    ),
):
    register(
        Statement(
            f"fig-3.{part}",
            f"Figure 3({part})",
            title.replace("SFT", "GPT-2, fine-tuning").replace("OS", "GPT-2, outcome supervision"),
            form,
            assumptions=(_PRINTED,),
            qualitative=True,
            note=f"{note}  {_SMALL}",
        )
    )
