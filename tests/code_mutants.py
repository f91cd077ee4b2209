"""Mutation of the code, by mutmut: do the tests notice a small change of a sampler, a loss, a verdict?

``python tests/code_mutants.py`` mutates the modules of [tool.mutmut] in a copy (``mutants/``), runs the tests
that reach each change, and writes ``notes/code-mutation.md``; with ``--report`` it only writes, from the last
run's results.  The core is mutated throughout, of each other module a seeded sample.  Exit status 1: a core
module below the least score, or a survivor in the core that ``equivalent_mutants.toml`` gives no reason for.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass, field
from pathlib import Path

from mutmut.mutation.diff_apply import get_diff_for_mutant
from mutmut.stats import status_by_exit_code
from mutmut.utils.format_utils import orig_function_and_class_names_from_key
from scipy.stats import binomtest

ROOT = Path(__file__).resolve().parents[1]
REPORT = ROOT / "notes" / "code-mutation.md"
EQUIVALENT = ROOT / "tests" / "equivalent_mutants.toml"
CORE = (
    *(f"numerics/{name}.py" for name in ("prompts", "sampling", "revealed", "losses", "reduced", "model")),
    *(f"verify/ledger/{name}.py" for name in ("evidence", "verdict", "run")),
    "verify/stats/",
)
LEAST = 0.9
SAMPLE = 25  # mutants of each module outside the core
KILLED = {"killed", "timeout"}  # a change that makes a test run many times as long is noticed

INTRODUCTION = """# Mutation of the code

Which small changes of the code do the tests notice?  [mutmut](https://mutmut.readthedocs.io/) makes one
change at a time (another operator, a number plus one, a constant or argument replaced by `None`, an argument
dropped, a string altered, a comparison moved by its border) in a copy, and runs the tests that reach the
changed function.  A mutant is killed when one of them fails, or does not come to an end.  `make mutants` does
it again and rewrites this file; the settings are in `pyproject.toml`.

Not mutated: properties and other decorated functions, constants of a module, defaults of the fields of a
dataclass, and f-strings, among them most messages.  Not run: the tests of the statements in `verify/`, which
would notice a wrong sampler too.  Where the first table has not all mutants of a module, the run was
interrupted; mutmut takes those with the fastest tests first, which is no random sample: no interval.
"""


@dataclass
class Module:
    """Results of one file: how many mutants there are, which were run, which of those survived."""

    path: str
    mutants: int
    run: dict[str, str] = field(default_factory=dict)  # mutant → status

    @property
    def core(self) -> bool:
        return self.path.startswith(CORE)

    @property
    def survivors(self) -> list[str]:
        return [name for name, status in self.run.items() if status not in KILLED]

    @property
    def killed(self) -> int:
        return len(self.run) - len(self.survivors)

    @property
    def score(self) -> float:
        return self.killed / len(self.run)

    @property
    def line(self) -> str:
        """A row of the table; the 95 % interval (Clopper and Pearson) of the score where it is a sample's."""
        run, score = f"all {self.mutants}", f"{100 * self.score:.1f} %"
        if len(self.run) < self.mutants:
            run = f"{len(self.run)} of {self.mutants}"
        if len(self.run) < self.mutants and not self.core:
            found = binomtest(self.killed, len(self.run)).proportion_ci()
            score += f" ({100 * found.low:.0f}–{100 * found.high:.0f} %)"
        return f"| `{self.path}` | {run} | {self.killed} | {score} |"


def results() -> dict[str, dict[str, int | None]]:
    """The exit code of each mutant of each file, None where it was not run."""
    metas = sorted((ROOT / "mutants").rglob("*.py.meta"))
    codes = {
        str(m.relative_to(ROOT / "mutants"))[: -len(".meta")]: json.loads(m.read_text())["exit_code_by_key"]
        for m in metas
    }
    return {path: found for path, found in codes.items() if found}


def chosen(path: str, mutants: list[str]) -> list[str]:
    """All mutants of a core module, else a sample that depends on the path alone."""
    if path.startswith(CORE) or len(mutants) <= SAMPLE:
        return mutants
    return sorted(random.Random(path).sample(sorted(mutants), SAMPLE))


def modules() -> list[Module]:
    found = []
    for path, codes in results().items():
        run = {name: status_by_exit_code[codes[name]] for name in chosen(path, list(codes))}
        done = {name: status for name, status in run.items() if status != "not checked"}
        found.append(Module(path, len(codes), done))
    return sorted((m for m in found if m.run), key=lambda m: (not m.core, m.path))


def change(path: str, mutant: str) -> tuple[str, str]:
    """A mutant by its function and by the lines that it puts in."""
    function, owner = orig_function_and_class_names_from_key(mutant)
    lines = get_diff_for_mutant(mutant, path=Path(path)).splitlines()
    new = " ".join(line[1:].strip() for line in lines if line.startswith("+") and not line.startswith("+++"))
    where = ".".join(filter(None, (path.removesuffix(".py").replace("/", "."), owner, function)))
    return where, new


def reasons() -> dict[str, str]:
    """``module.function: lines put in`` → why no test can tell."""
    with EQUIVALENT.open("rb") as file:
        groups = tomllib.load(file)["equivalent"]
    return {mutant: group["why"] for group in groups for mutant in group["mutants"]}


def table(found: list[Module]) -> list[str]:
    killed, run = sum(m.killed for m in found), sum(len(m.run) for m in found)
    together = f"| together | {run} | {killed} | {100 * killed / run:.1f} % |"
    head = ["| module | mutants run | killed | score |", "| --- | ---: | ---: | --- |"]
    return [*head, *(m.line for m in found), together]


def report(found: list[Module]) -> tuple[str, list[str]]:
    """The text of the report, and what is not as it should be."""
    core = [m for m in found if m.core]
    why, unknown = reasons(), []
    by_reason: dict[str, list[str]] = {}
    for m in core:
        for mutant in m.survivors:
            where, new = change(m.path, mutant)
            key = f"{where}: {new}"
            if key not in why:
                unknown.append(key)
            by_reason.setdefault(why.get(key, "Not explained: a test is missing."), []).append(
                f"- `{where}`: `{new.replace('`', '')}`"
            )
    low = [f"{m.path}: {100 * m.score:.1f} % killed" for m in core if m.score < LEAST]
    rest = [m for m in found if not m.core]
    lines = [
        INTRODUCTION,
        "## Samplers, losses, verdicts and their statistics",
        "",
        *table(core),
        "",
    ]
    if rest:
        lines += [f"## The other modules: {SAMPLE} mutants of each, drawn at random with a fixed seed", ""]
        lines += [*table(rest), ""]
    lines += ["## Survivors in the first table, and why each is equivalent", ""]
    for reason, mutants in by_reason.items():
        lines += [reason.strip(), "", *mutants, ""]
    return "\n".join(lines), low + unknown


def main() -> int:
    if sys.argv[1:] not in ([], ["--report"]):
        sys.exit(f"unknown arguments {sys.argv[1:]}: must be none, or --report")
    os.chdir(ROOT)  # where mutmut looks for its settings and its copy
    if not sys.argv[1:]:
        mutmut = [Path(sys.executable).with_name("mutmut"), "run", "--max-children", "1"]
        shutil.rmtree("mutants", ignore_errors=True)  # mutmut keeps copies of files that it does not mutate
        # The first run makes the mutants: a name that it knows, and soon done.
        subprocess.run([*mutmut, "numerics.reduced*"], check=True)
        names = [name for path, codes in results().items() for name in chosen(path, list(codes))]
        subprocess.run([*mutmut, *names], check=True)
    text, wrong = report(modules())
    REPORT.write_text(text, encoding="utf-8")
    print(*wrong, f"written: {REPORT.relative_to(ROOT)}", sep="\n")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main())
