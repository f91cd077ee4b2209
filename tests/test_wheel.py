"""A wheel works outside the clone: installed into an empty environment, used from an empty folder."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from verify.ledger import store

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("theory", "numerics", "verify", "notes")


def run(*command: str | Path, cwd: Path, status: int = 0) -> str:
    """What the command prints; it does not see this clone."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    environment |= {"PYTHONUTF8": "1", "COLUMNS": "120"}
    both = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "encoding": "utf-8"}
    done = subprocess.run(command, cwd=cwd, env=environment, timeout=300, **both)
    assert done.returncode == status, done.stdout[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of a copy of the sources: a build folder left in the clone may hold modules that are gone."""
    source = tmp_path_factory.mktemp("source")
    for name in PACKAGES:
        shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    pip = (sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--no-index")
    run(*pip, "--wheel-dir", source / "dist", source, cwd=source)
    (made,) = (source / "dist").glob("*.whl")
    return made


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of a new environment with the wheel; dependencies come from this one."""
    folder = tmp_path_factory.mktemp("venv")
    context = venv.EnvBuilder().ensure_directories(folder)
    venv.create(folder)
    pip = (sys.executable, "-m", "pip", "--python", context.env_exe, "install", "--quiet")
    run(*pip, "--no-deps", "--no-index", wheel, cwd=folder)
    (packages,) = folder.glob("lib/python3*/site-packages")
    # Their own .pth files are not read, so that no editable install of the clone is found.
    dependencies = [path for path in sys.path if path.endswith(("site-packages", "dist-packages"))]
    (packages / "dependencies.pth").write_text("\n".join(dependencies) + "\n", encoding="utf-8")
    return Path(context.bin_path)


def test_what_the_wheel_holds(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    sources = {f"{p.relative_to(ROOT)}" for name in PACKAGES for p in (ROOT / name).rglob("*.py")}
    assert sources <= names
    read = {f"notes/{p.name}" for pattern in ("*.json", "*.md") for p in (ROOT / "notes").glob(pattern)}
    assert read <= names
    assert {name.split("/")[0] for name in names if "dist-info" not in name} == set(PACKAGES)


def test_commands_from_an_empty_folder(scripts: Path, tmp_path: Path) -> None:
    def lsatheory(*arguments: str | Path, status: int = 0) -> str:
        return run(scripts / "lsatheory", *arguments, cwd=tmp_path, status=status)

    where = run(scripts / "python", "-c", "import verify; print(verify.__file__)", cwd=tmp_path).strip()
    packages = Path(where).parents[1]
    assert packages.is_relative_to(scripts.parent)
    before = {path for path in packages.rglob("*") if path.suffix != ".pyc"}

    assert lsatheory("ledger", "--json") == store.dumps(store.load(ROOT / "notes" / "ledger.json"))
    shown = lsatheory("show", "thm-4.1")
    assert "counterexample" in shown
    assert "notes/finetuning.md" in shown
    assert lsatheory("latex", "eq-3.1").rstrip().endswith(r"\end{document}")
    task = ("--weights", ".5,.5", "--post", "1,0", "--pre", "0.01,1", "--test", "1,1")
    assert "without end" in lsatheory("plan", "--n", "400", "--d", "400", *task)

    assert "2 passed" in lsatheory("verify", "rem-4.1", "--profile", "quick")
    judged = [row["id"] for row in store.load(tmp_path / ".lsatheory" / "last-run.json")]
    assert judged == ["rem-4.1.a", "rem-4.1.b"]

    wrong = packages / "notes" / "claims" / "wrong_factor.py"
    assert "counterexample" in lsatheory("check", wrong, "--profile", "quick", status=1)

    after = {path for path in packages.rglob("*") if path.suffix != ".pyc"}
    assert {path for path in after - before if path.name != "__pycache__"} == set()


def test_a_missing_ledger_is_named_in_one_line(scripts: Path, tmp_path: Path) -> None:
    (packages,) = scripts.parent.glob("lib/python3*/site-packages")
    ledger = packages / "notes" / "ledger.json"
    ledger.rename(tmp_path / "aside.json")
    try:
        out = run(scripts / "lsatheory", "ledger", cwd=tmp_path, status=2)
    finally:
        (tmp_path / "aside.json").rename(ledger)
    assert out == f"error: {ledger}: no ledger there, `lsatheory verify` computes one\n"
