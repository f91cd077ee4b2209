"""pytest plugin: the seeds of a run, and the one line that runs a failure again with the same examples.

Everything random follows from two numbers.  The *base seed* gives the seeds of the samplers (the ``seed``
fixture).  The *hypothesis seed* gives the examples of the property tests: ``--hypothesis-seed``, else a base
seed other than 0, else none, and then hypothesis is derandomised (a test's examples follow from its source).
Hypothesis itself would ignore a seed where it is derandomised.

The base seed is ``--base-seed``, else 0, or drawn where the profile is a randomised one, under pytest-xdist
by the process that starts the workers, for all of them.
"""

from __future__ import annotations

import random
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import hypothesis
import pytest
from hypothesis import HealthCheck, core
from hypothesis.internal.conjecture import providers

from verify.profiles import Profile

MOST = 10**9  # drawn seeds are short enough to be typed


@dataclass(frozen=True)
class Seeds:
    """The profile and the seeds of a run; ``hypothesis`` is None where it is derandomised."""

    profile: Profile
    base: int
    hypothesis: int | None

    def command(self, *what: str) -> str:
        """The command line, for a shell in the project's root, that runs ``what`` as this run did."""
        words = ["pytest", *what, "--profile", self.profile.name, "--base-seed", str(self.base)]
        if self.hypothesis is not None and self.hypothesis != self.base:
            words += ["--hypothesis-seed", str(self.hypothesis)]
        return shlex.join(words)


SEEDS = pytest.StashKey[Seeds]()
MOVED = pytest.StashKey[list[str]]()  # the statements whose rows are not the committed ones


def settle(config: pytest.Config, profile: Profile) -> Seeds:
    """Settle the seeds of the run and set hypothesis up accordingly.

    Raises :class:`pytest.UsageError` for a hypothesis seed that is no integer.
    """
    # Where pytest meets the folder only while collecting, the ledger's options are not on the command line.
    base, text = (config.getoption(name, default=None) for name in ("base_seed", "hypothesis_seed"))
    if base is None:
        base = getattr(config, "workerinput", {}).get("base_seed")
    if base is None:
        base = random.SystemRandom().randint(1, MOST) if profile.randomised else 0
    try:
        seed = int(text) if text is not None else base or None
    except ValueError:
        raise pytest.UsageError(f"--hypothesis-seed={text!r}: must be an integer") from None
    core.global_force_seed = seed  # type: ignore[assignment]  # as hypothesis' own plugin does
    # Hypothesis also draws constants found in the project's modules, in those that happen to be imported: a
    # test alone, or in a process of pytest-xdist, would have other examples than in a whole run.
    providers._get_local_constants = lambda: providers._local_constants
    hypothesis.settings.register_profile(
        "ledger",
        derandomize=seed is None,
        database=None,
        deadline=None,
        max_examples=profile.examples,
        print_blob=True,
        # The clock decides on it, and the machine may be busy.
        suppress_health_check=[HealthCheck.too_slow],
    )
    hypothesis.settings.load_profile("ledger")
    found = Seeds(profile, base, seed)
    config.stash[SEEDS] = found
    return found


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["base_seed"] = node.config.stash[SEEDS].base


def pytest_report_header(config: pytest.Config) -> str:
    seeds = config.stash[SEEDS]
    how = "derandomised" if seeds.hypothesis is None else f"seed {seeds.hypothesis}"
    return f"profile {seeds.profile.name}, base seed {seeds.base}, property tests {how}"


def _failed(stats: dict[str, list[Any]]) -> Iterable[str]:
    """The tests that failed, or the files that could not be collected, each once and in order."""
    reports = [report for key in ("failed", "error") for report in stats.get(key, ())]
    return dict.fromkeys(report.nodeid for report in reports)


@pytest.hookimpl(trylast=True)  # below the table of verdicts, where it is seen
def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    seeds = config.stash[SEEDS]
    lines = [seeds.command(test) for test in _failed(terminalreporter.stats)]
    if moved := config.stash.get(MOVED, []):
        lines.append(seeds.command("verify/", *(word for i in moved for word in ("--statement", i))))
    if lines:
        terminalreporter.section("to reproduce")
        for line in lines:
            terminalreporter.write_line(line)
    if seeds.profile.randomised:
        terminalreporter.write_line(pytest_report_header(config))
