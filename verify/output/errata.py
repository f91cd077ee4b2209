"""Errata to the paper: every statement that is not true as printed, from the ledger.

``python -m verify.output.errata`` writes ``notes/errata.md`` and ``notes/errata.tex``.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from theory.statement import ELSEWHERE, Statement
from verify.ledger import load_statements, store
from verify.ledger.evidence import NUMERIC
from verify.ledger.store import Row
from verify.output.latex import printed_label
from verify.output.latex_prose import ID
from verify.output.markdown import plain_text

# By severity; what is confirmed or supported is no erratum.
SEVERITIES = {
    "refuted": "Wrong as printed, with consequences",
    "confirmed-if": "True under a condition that is not printed",
    "misprint": "Misprints, on which nothing else depends",
    "open": "Not settled",
}
# Insights, captions and the abstract have no formula: their verdict is on one of ours, so they come apart.
READINGS = "Claims in words, in the reading given here"
# For the preface: what matters most, by the entries that say more, and what stands, by confirmed rows.
POINTS = {
    ("thm-4.1", "prop-4.3"): """Theorem 4.1 holds where ṼΦ = −ηΩ has a solution, B ≤ rank A. For more prompts
        (4.1) is the minimiser with W̃ held at I, and (4.2) the limit of that one.""",
    (
        "eq-B.3.a",
        "eq-B.3.b",
        "eq-B.4.b",
    ): """(B.3) lacks half of the first-order term of ΦΦ†, so that V_S + V_N
        is not Ṽ_* to first order for B < d.""",
    (
        "eq-C.32.a",
        "eq-C.38",
        "thm-B.1",
        "fig-5.a",
    ): """(C.32) and (C.38) have D_pre on the wrong side of Π, which
        changes T_var, T_var,Σ and F(β) for 0 < β < 1: at the settings of Figure 5 F is too low by up to
        17 % (n = 1000) and 18 % (n = 5000).""",
    ("insight-1.a", "sec-5.1-complement.c", "sec-5.2-interference.a"): """On the full risk (5.1) the best A is
        ηΣ, not one on range(Δ), and the best r is η, not 0: what Section 5.1 drops as negligible is of the
        order of what it keeps. At the settings of Figure 1, B → ∞, that is 9, 7 and 5 % of the error.""",
    (
        "insight-2",
    ): """Small sets are best only for r/η below about 0.05 to 0.14 in the setting of Figure 1; in
        Figure 1(c) more data is better without end, if η is that of Figure 5, 0.2.""",
    (
        "sec-6-spectral.b",
        "sec-6-spectral.c",
    ): """The largest stable step of Section 6 is 2k − 1 times 2/λ_max at
        d = 1, so it falls like 1/k and not 1/k².""",
    (
        "app-E-opnorm.a",
        "app-E-opnorm.c",
    ): """Appendix E's bound on the Hessian lacks a factor ‖S‖ and a term, and
        ρ(M) cannot stand for ‖M‖ in it.""",
    (
        "fig-4.a",
        "fig-4.e",
    ): """With the settings of Figure 4 that are printed, and ours for the others, the error in (a) does
        not rise up to B = 800 with all weights trained, and the error in (e) rises with n.""",
}
STANDS = {
    "the rate of Theorem 4.2": "thm-4.2.a", "the risk (5.1)": "prop-5.1", "Proposition 6.1": "prop-6.1.a",
    "Lemma A.1": "lem-A.1.a", "Lemma C.2": "lem-C.2", "Lemma C.3": "lem-C.3",
    "Proposition B.2 (i)": "prop-B.2-i.b",
}  # fmt: skip


class Part(NamedTuple):
    """A paragraph of an entry: its label, and text or the form of the statement that is displayed."""

    label: str
    text: str = ""
    form: str = ""


def group(row: Row) -> str:
    """The title of the part that an entry belongs to."""
    return READINGS if printed_label(row) == "As read here" else SEVERITIES[row["verdict"]]


def chosen(rows: Iterable[Row]) -> list[Row]:
    """The paper's statements that are not true as printed, claims in words last; each by severity, then in
    the paper's order."""
    wanted = [r for r in rows if r["source"] not in ELSEWHERE and r["verdict"] in SEVERITIES]
    order = list(SEVERITIES)
    return sorted(wanted, key=lambda row: (group(row) == READINGS, order.index(row["verdict"])))


def _named(wanted: str, known: Iterable[str]) -> list[str]:
    """The ids that ``wanted`` names: itself, or else its parts."""
    known = list(known)
    if wanted in known:
        return [wanted]
    return [id for id in known if re.match(rf"{re.escape(wanted)}[.-]", id)]


def _listed(ids: Iterable[str], verdicts: Mapping[str, str]) -> str:
    """Ids with their verdicts."""
    found = []
    for id in ids:
        parts = [verdicts[part] for part in _named(id, verdicts)]
        kinds = ", ".join(f"{n} {v}" if len(parts) > 1 else v for v, n in Counter(parts).items())
        found.append(f"{id} ({kinds})" if kinds else id)
    return "; ".join(found)


def _evidence(row: Row) -> str:
    """What was checked, by form and outcome."""
    names = {
        "printed": "as printed",
        "condition": "under the condition",
        "outside": "without the condition",
        "corrected": "as corrected",
    }
    parts = []
    for form, name in names.items():
        for outcome in ("differs", "agrees", "undecided"):
            found = Counter(
                e["kind"] for e in row["evidence"] if (e["form"], e["outcome"]) == (form, outcome)
            )
            if found:
                kinds = ", ".join(f"{kind} ×{n}" if n > 1 else kind for kind, n in found.items())
                parts.append(f"{name} it {'is ' if outcome == 'undecided' else ''}{outcome} ({kinds})")
    alpha = sum(e["alpha"] for e in row["evidence"])
    deltas = [e["delta"] for e in row["evidence"] if e["kind"] in NUMERIC and e["delta"] is not None]
    text = "; ".join(parts) or "no evidence"
    if deltas:
        least, most = min(deltas), max(deltas)
        shown = dict.fromkeys(f"{float(f'{delta:.1g}'):g}" for delta in (least, most))
        text += f"; tolerances {' to '.join(shown)} of each check's scale"
    if alpha:
        text += f"; probability that sampling misled at most {alpha:.0e}"
    return text[0].upper() + text[1:] + "."


def _in_words(counterexample: str) -> str:
    """Yes and no for truth values, ∞ for SymPy's oo."""
    answer = {"True": "yes", "False": "no"}
    text = re.sub(
        r"printed (True|False), true (True|False)$",
        lambda m: f"by the print {answer[m[1]]}, in truth {answer[m[2]]}",
        counterexample,
    )
    return re.sub(r"\boo\b", "∞", text)


def separate() -> set[str]:
    """The statements that ``notes/routes.md`` lists: derived and measured by separate code."""
    path = store.committed_path().with_name("routes.md")
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    rows = [line.strip("|").split("|") for line in lines if line.startswith("| ") and line.count("|") == 5]
    return {id.strip() for cells in rows for id in cells[0].split(",")}


def _finding(row: Row) -> list[Part]:
    """What is wrong, where, and what is true."""
    found = []
    if row["counterexample"]:
        label = "Fails without a condition" if row["condition"] else "Fails at"
        found.append(Part(label, _in_words(row["counterexample"]) + "."))
    if row["condition"]:
        found.append(Part("Holds if", row["condition"] + "."))
    if row["corrected_latex"] is not None:
        found.append(Part("Without the condition" if row["condition"] else "Corrected", form="corrected"))
    if row["note"]:
        found.append(Part("Remarks", row["note"]))
    return found


def parts(
    row: Row,
    statements: Mapping[str, Statement],
    verdicts: Mapping[str, str],
    apart: set[str],
    earlier: str | None,
) -> list[Part]:
    """The paragraphs of an entry; of one that makes the point of an ``earlier`` entry, only what is new."""
    found = [Part(printed_label(row), form="printed")]
    if row["assumptions"]:
        found.append(Part(_assumed_label(row), "; ".join(row["assumptions"]) + "."))
    if earlier:
        found.append(Part("Again", f"The point of {earlier}, with the same counterexample; see there."))
    else:
        found += _finding(row)
    if row["consequences"]:
        found.append(Part("What it bears on", _listed(row["consequences"], verdicts) + "."))
    users = _users(row, statements, verdicts)
    if users:
        found.append(Part("What uses it, judged by itself", _listed(users, verdicts) + "."))
    sure = _evidence(row)
    if row["id"] in apart:
        sure += " Derived and measured by separate code."
    found.append(Part("How sure", sure))
    return found


def _assumed_label(row: Row) -> str:
    """What to call the assumptions: with a formula of ours come assumptions of ours."""
    return "Under the printed assumptions" if printed_label(row) == "As printed" else "In the setting"


def repeated(entries: Iterable[Row]) -> dict[str, str]:
    """Each entry that makes the point of an earlier one, and that one: the same counterexample and verdict,
    and either the same formula or the same condition and remarks."""
    found: dict[str, str] = {}
    first: dict[tuple[object, ...], str] = {}
    for row in entries:
        if row["counterexample"] is None:
            continue
        same = row["verdict"], row["counterexample"]
        keys: list[tuple[object, ...]] = [(*same, "formula", row["printed_latex"])]
        if row["condition"] and row["note"]:
            keys.append((*same, "words", row["condition"], row["note"]))
        earlier = [first[key] for key in keys if key in first]
        if earlier:
            found[row["id"]] = earlier[0]
        for key in keys:
            first.setdefault(key, earlier[0] if earlier else row["id"])
    return found


def _users(row: Row, statements: Mapping[str, Statement], verdicts: Mapping[str, str]) -> list[str]:
    """Statements of the paper that depend on this one and are no consequences of its fault."""
    follows = {id for named in row["consequences"] for id in _named(named, verdicts)}
    users = [s for s in statements.values() if s.source not in ELSEWHERE and s.id in verdicts]
    return [
        s.id
        for s in users
        if s.id not in follows and any(row["id"] in _named(wanted, verdicts) for wanted in s.depends_on)
    ]


def preface(rows: list[Row]) -> tuple[str, list[str]]:
    """What was found, in a few sentences, and what matters most, a line each.

    A point is left out where the rows do not bear it out, and so is what is said to stand.
    """
    count = Counter(r["verdict"] for r in rows if r["source"] not in ELSEWHERE)
    verdicts = {r["id"]: r["verdict"] for r in rows}
    stands = [name for name, id in STANDS.items() if verdicts.get(id) == "confirmed"]
    points = {ids: text for ids, text in POINTS.items() if all(verdicts.get(i) in SEVERITIES for i in ids)}
    among = f", {', '.join(stands)} among them" if stands else ""
    unsettled = f"; {count['open']} could not be settled" if count["open"] else ""
    said = (
        "With thanks to the authors for a paper precise enough to be checked line by line. Of its "
        f"{count.total()} checkable statements {count['confirmed']} are true as printed{among}, and "
        f"{count['supported']} qualitative claims are borne out{unsettled}. Below are the others: "
        f"{count['refuted']} that are wrong as printed and have consequences, {count['confirmed-if']} that "
        f"hold under a further condition, {count['misprint']} misprints. Each comes with a counterexample, "
        "most of them exact and fit to be redone by hand. Where the print has a claim in words, formula and "
        "setting are our reading of it (“as read here”), and the verdict is on the reading: "
        f"{sum(group(row) == READINGS for row in chosen(rows))} of these are at the end."
        + (" What matters most:" if points else "")
    )
    return said, [f"{' '.join(text.split())} ({', '.join(ids)})" for ids, text in points.items()]


def _markdown(text: str) -> str:
    """Prose for Markdown: ids as code, and the signs that it would read itself escaped."""
    return ID.sub(lambda found: f"`{found[0]}`", plain_text(text))


def markdown(rows: list[Row], statements: Mapping[str, Statement]) -> str:
    """``notes/errata.md``."""
    verdicts, apart = {r["id"]: r["verdict"] for r in rows}, separate()
    entries = chosen(rows)
    again = repeated(entries)
    said, points = preface(rows)
    out = [
        "# Errata to arXiv:2603.01293",
        "Written by `make ledger` from the ledger; not to be edited.",
        said,
    ]
    out.append("\n".join(f"- {_markdown(point)}" for point in points))
    title = ""
    for number, row in enumerate(entries, 1):
        if group(row) != title:
            title = group(row)
            out.append(f"## {title}")
        out.append(f"### {number}. {row['source']}: {_markdown(row['title'])}")
        out.append(f"`{row['id']}`, {row['verdict']}.")
        for part in parts(row, statements, verdicts, apart, again.get(row["id"])):
            if part.form:
                out.append(f"{part.label}:\n\n$$\n{row[part.form + '_latex']}\n$$")
            else:
                out.append(f"**{part.label}.** {_markdown(part.text)}")
    return "\n\n".join(out) + "\n"


if __name__ == "__main__":
    from verify.output.errata_tex import errata_tex

    known = load_statements()
    ledger = store.load(store.committed_path())
    notes = store.committed_path().parent
    texts = {"errata.md": markdown(ledger, known), "errata.tex": errata_tex(ledger, known)}
    store.write_files({notes / name: text for name, text in texts.items()})
