"""The store of a sweep: an SQLite file in which a result is whole or not there.

A row is a cell.  Without a result it may be claimed, by a process that renews its claim while it lives; a
claim that has run out is anybody's.  With a result it has a checksum over all that it says.  The file is in
WAL mode, so that readers and a writer do not wait for each other, and has to be on a disk of the machine
whose processes share it; workers elsewhere do not touch it.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

from numerics.errors import ArgumentError
from numerics.sweeps.cells import Cell, digest
from numerics.sweeps.worker import Computed

APPLICATION = 0x6C736174  # "lsat", what PRAGMA application_id is for
SCHEMA = 1
ROOM = 2**16  # bytes: a file that SQLite keeps beside the store takes half of that
PATIENCE = 30.0  # seconds that a process waits for another's transaction
_TABLE = """
CREATE TABLE cells (
    key TEXT PRIMARY KEY,
    experiment TEXT NOT NULL, config TEXT NOT NULL, seed INTEGER NOT NULL, code TEXT NOT NULL,
    claimant TEXT, expires REAL,
    result TEXT, seconds REAL, torch TEXT, device TEXT, finished TEXT, checksum TEXT
)
"""
_ROW = "key, experiment, config, seed, code, result, seconds, torch, device, finished, checksum"


class Row(NamedTuple):
    """A cell that was computed, as it lies in the store; any type may be there after damage."""

    key: str
    experiment: str
    config: str
    seed: int
    code: str
    result: str
    seconds: float
    torch: str
    device: str
    finished: str
    checksum: str

    @property
    def right(self) -> bool:
        """Is it what was written?"""
        cell = Cell(self.experiment, self.config, self.seed, self.code)
        return self.checksum == digest(*map(repr, self[:-1])) and self.key == cell.key

    def __str__(self) -> str:
        return f"{self.experiment} {self.config} seed {self.seed} ({str(self.key)[:12]})"


class Found(NamedTuple):
    """What :meth:`Store.claim` found: cells that are now the claimant's, others' claims, and results."""

    claimed: list[Cell]
    held: list[Cell]
    done: list[Cell]


@dataclass(frozen=True)
class Status:
    """How far one version of one experiment is, in cells; ``seconds`` is the time of those done."""

    experiment: str
    code: str
    done: int
    running: int
    missing: int
    corrupt: int
    seconds: float
    devices: tuple[str, ...]


@contextmanager
def open_store(path: Path, create: bool = False) -> Iterator[Store]:
    """The store at ``path``, made if there is none and ``create`` says so.

    Raises :class:`ArgumentError` for no store and for one of another schema version, and :class:`OSError`,
    here and in the methods, for a disk that is full or does not work.
    """
    if not path.parent.is_dir() or path.is_dir() or not (create or path.is_file()):
        wanted = "a file in an existing folder" if create else "a store that `lsatheory sweep run` made"
        raise ArgumentError(f"store={str(path)!r}: must be {wanted}")
    with (
        _one_line(path),
        closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as connection,
    ):
        # Damaged text is text too, which its checksum finds.
        connection.text_factory = lambda found: found.decode("utf-8", "backslashreplace")
        store = Store(path, connection)
        store.prepare(create)
        yield store


@contextmanager
def _one_line(path: Path) -> Iterator[None]:
    """Errors of SQLite as those of this package."""
    try:
        yield
    except sqlite3.OperationalError as error:
        full = shutil.disk_usage(path.parent).free < ROOM  # SQLite may call that an I/O error
        raise OSError(f"{path}: {'no space left on the disk' if full else error}") from None
    except sqlite3.DatabaseError as error:
        raise ArgumentError(f"{path}: must be a store of sweeps ({error})") from None


class Store:
    """Made by :func:`open_store`; for one thread."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection

    def prepare(self, create: bool) -> None:
        """Make the table in an empty file; judge the version of any other."""
        if create and self._empty():
            self._connection.execute("PRAGMA journal_mode = WAL")
            with self._transaction():
                if self._empty():  # still, now that nobody else writes
                    self._connection.execute(_TABLE)
                    self._connection.execute("CREATE INDEX claims ON cells (claimant)")
                    self._connection.execute(f"PRAGMA application_id = {APPLICATION}")
                    self._connection.execute(f"PRAGMA user_version = {SCHEMA}")
        if self._pragma("application_id") != APPLICATION:
            raise ArgumentError(f"{self.path}: must be a store of sweeps (it is another SQLite file)")
        version = self._pragma("user_version")
        if version != SCHEMA:
            raise ArgumentError(f"{self.path}: a store of schema version {version}: must be {SCHEMA}")

    def add(self, cells: Iterable[Cell]) -> None:
        """Rows for those of ``cells`` that have none."""
        rows = [(c.key, c.experiment, c.config, c.seed, c.code) for c in cells]
        with self._transaction():
            self._connection.executemany(
                "INSERT OR IGNORE INTO cells (key, experiment, config, seed, code) VALUES (?, ?, ?, ?, ?)",
                rows,
            )

    def done(self) -> set[str]:
        """The keys of all cells that have a result."""
        return {key for (key,) in self._connection.execute("SELECT key FROM cells WHERE result IS NOT NULL")}

    def claim(self, cells: Iterable[Cell], most: int, claimant: str, lease: float) -> Found:
        """Claim up to ``most`` of ``cells`` for ``lease`` seconds; one that is claimed has no result."""
        found, now = Found([], [], []), time.time()
        with self._transaction():
            for cell in cells:
                if len(found.claimed) == most:
                    break
                taken = self._connection.execute(
                    "UPDATE cells SET claimant = ?, expires = ? "
                    "WHERE key = ? AND result IS NULL AND (claimant IS NULL OR expires < ?)",
                    (claimant, now + lease, cell.key, now),
                )
                if taken.rowcount:
                    found.claimed.append(cell)
                elif self._has_result(cell):
                    found.done.append(cell)
                else:
                    found.held.append(cell)
        return found

    def renew(self, claimant: str, lease: float) -> None:
        """Put off the end of all claims of ``claimant``."""
        with self._transaction():
            self._connection.execute(
                "UPDATE cells SET expires = ? WHERE claimant = ?", (time.time() + lease, claimant)
            )

    def release(self, claimant: str, cell: Cell | None = None) -> None:
        """Give up the claim on ``cell``, or all."""
        with self._transaction():
            self._connection.execute(
                "UPDATE cells SET claimant = NULL, expires = NULL "
                "WHERE claimant = ? AND key = coalesce(?, key)",
                (claimant, cell.key if cell else None),
            )

    def finish(self, results: Iterable[tuple[Cell, Computed]]) -> None:
        """Store results.  One that is there already stays: a claim had run out, and both are the same."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        with self._transaction(lasting=True):
            for cell, computed in results:
                fields = (
                    *(cell.key, cell.experiment, cell.config, cell.seed, cell.code, computed.result),
                    *(computed.seconds, computed.torch, computed.device, now),
                )
                self._connection.execute(
                    f"INSERT INTO cells ({_ROW}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) "
                    "ON CONFLICT (key) DO UPDATE SET claimant = NULL, expires = NULL, "
                    + ", ".join(f"{name} = excluded.{name}" for name in _ROW.split(", "))
                    + " WHERE result IS NULL",
                    (*fields, digest(*map(repr, fields))),
                )

    def rows(self) -> Iterator[Row]:
        """All cells with a result, in the order in which they were asked for, right or not."""
        return (row for _, row in self._numbered())

    def results(self, cells: Sequence[Cell]) -> list[Any]:
        """The results of ``cells``; :class:`ArgumentError` names one that is missing or corrupt."""
        found = []
        for cell in cells:
            query = f"SELECT {_ROW} FROM cells WHERE key = ? AND result IS NOT NULL"
            fields = self._connection.execute(query, (cell.key,)).fetchone()
            if fields is None or not Row(*fields).right:
                raise ArgumentError(f"{self.path}: {'corrupt' if fields else 'no result'}: {cell}")
            found.append(json.loads(Row(*fields).result))
        return found

    def corrupt(self, remove: bool = False) -> list[Row]:
        """The rows whose checksum does not fit; they are taken out of the store if ``remove`` says so."""
        if not remove:
            return [row for row in self.rows() if not row.right]
        with self._transaction():
            found = [(number, row) for number, row in self._numbered() if not row.right]
            self._connection.executemany("DELETE FROM cells WHERE rowid = ?", [(n,) for n, _ in found])
        return [row for _, row in found]

    def status(self) -> list[Status]:
        """A line for each experiment and code version, in the order in which they came."""
        query = """
            SELECT experiment, code, sum(result IS NOT NULL),
                   sum(result IS NULL AND claimant IS NOT NULL AND expires >= ?), count(*),
                   total(seconds), group_concat(DISTINCT device)
            FROM cells GROUP BY experiment, code ORDER BY min(rowid)
        """
        lines = self._connection.execute(query, (time.time(),)).fetchall()
        bad = [(row.experiment, row.code) for row in self.corrupt()]
        found = []
        for name, code, done, running, cells, seconds, devices in lines:
            corrupt = bad.count((name, code))
            left = cells - done - running
            used = tuple(sorted((devices or "").split(",")))
            found.append(Status(name, code, done - corrupt, running, left, corrupt, seconds, used))
        return found

    def _numbered(self) -> Iterator[tuple[int, Row]]:
        query = f"SELECT rowid, {_ROW} FROM cells WHERE result IS NOT NULL ORDER BY rowid"
        return ((number, Row(*fields)) for number, *fields in self._connection.execute(query))

    def _has_result(self, cell: Cell) -> bool:
        query = "SELECT 1 FROM cells WHERE key = ? AND result IS NOT NULL"
        return self._connection.execute(query, (cell.key,)).fetchone() is not None

    def _empty(self) -> bool:
        return not self._connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]

    def _pragma(self, name: str) -> int:
        return int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])

    @contextmanager
    def _transaction(self, lasting: bool = False) -> Iterator[None]:
        """All of it or nothing; others that write wait.

        What is ``lasting`` is on the disk at the end.  A claim need not be: it may go with the machine.
        """
        self._connection.execute(f"PRAGMA synchronous = {'FULL' if lasting else 'NORMAL'}")
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # a full disk has rolled it back already
                self._connection.execute("ROLLBACK")
            raise
