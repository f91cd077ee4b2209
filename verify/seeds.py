"""Do other random numbers give other verdicts?  ``python -m verify.seeds [RUNS]`` runs ``pytest verify/``
that often (20 by default), each with a base seed of its own, and lists every verdict that is not the
committed one.  Exit status 1 if there is any."""

from __future__ import annotations

import subprocess
import sys
import time

from verify.ledger import store


def main(runs: int) -> int:
    committed = {row["id"]: row["verdict"] for row in store.load(store.committed_path())}
    changed = 0
    for seed in range(1, runs + 1):
        start = time.perf_counter()
        command = [sys.executable, "-m", "pytest", "-q", "verify/", "--base-seed", str(seed)]
        status = subprocess.run(command, cwd=store.project_root(), stdout=subprocess.DEVNULL, check=False)
        verdicts = {row["id"]: row["verdict"] for row in store.load(store.last_run_path())}
        other = {i: v for i, v in verdicts.items() if committed.get(i) != v}
        changed += bool(other) or status.returncode != 0
        print(
            f"base seed {seed:2d}: {len(verdicts)} verdicts, {len(other)} changed, "
            f"exit status {status.returncode}, {time.perf_counter() - start:.0f} s {other or ''}",
            flush=True,
        )
    print(f"{runs} runs, {changed} with a verdict other than the committed one")
    return int(changed > 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 20))
