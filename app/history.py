"""Store finished comparisons and their feedback; SQLite by default, any SQLAlchemy URL.

Each row keeps what was asked (title, queries, both images as JPEG), the verdict as JSON, and the
user's feedback. Everyone who can open the page sees the same history.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal, get_args

import platformdirs
from sqlalchemy import (
    JSON,
    Column,
    DateTime,
    ForeignKey,
    LargeBinary,
    MetaData,
    RowMapping,
    String,
    Table,
    Text,
    create_engine,
    delete,
    event,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import SQLAlchemyError

from creative4u.errors import InputError
from creative4u.schema import Side, Verdict

Feedback = Literal["A", "B", "tie", "both_bad"]
FEEDBACK: tuple[Feedback, ...] = get_args(Feedback)

_meta = MetaData()
_pictures = Table(
    "pictures", _meta,
    Column("digest", String(64), primary_key=True),  # SHA-256 of the JPEG bytes
    Column("jpeg", LargeBinary(2**24 - 1), nullable=False),
)
_comparisons = Table(
    "comparisons", _meta,
    Column("comparison_id", String(32), primary_key=True),
    Column("made_at", DateTime, nullable=False, index=True),  # UTC
    Column("title", Text, nullable=False),
    Column("queries", JSON, nullable=False),
    Column("picture_a", ForeignKey(_pictures.c.digest), nullable=False),
    Column("picture_b", ForeignKey(_pictures.c.digest), nullable=False),
    Column("verdict", JSON, nullable=False),
    Column("feedback", String(16)),
    Column("feedback_at", DateTime),
)


@dataclass(frozen=True)
class Saved:
    """One comparison as it was kept; `made_at` in UTC."""

    comparison_id: str
    made_at: datetime
    title: str
    queries: tuple[str, ...]
    pictures: dict[Side, bytes]  # JPEG
    verdict: Verdict
    feedback: Feedback | None = None


def default_url() -> str:
    """SQLite under CREATIVE4U_HOME, or under the user's data folder."""
    home = os.environ.get("CREATIVE4U_HOME") or platformdirs.user_data_dir("creative4u")
    folder = Path(home).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{folder / 'history.sqlite3'}"


class Store:
    """The history; safe to share between threads. Raises InputError for a URL of no use."""

    def __init__(self, url: str | None = None) -> None:
        try:
            self._engine: Engine = create_engine(url or default_url())
            if self._engine.dialect.name == "sqlite":
                _make_private(self._engine.url.database)
                event.listen(self._engine, "connect", _set_up_sqlite)
            _meta.create_all(self._engine)
        except (SQLAlchemyError, ImportError) as error:
            reason = str(error).splitlines()[0]
            raise InputError(f"the history cannot be kept there: {reason}") from error

    def save(self, title: str, queries: tuple[str, ...], pictures: dict[Side, bytes],
             verdict: Verdict) -> str:
        """Keep one comparison; returns its id."""
        comparison_id = uuid.uuid4().hex
        with self._engine.begin() as db:
            db.execute(insert(_comparisons).values(
                comparison_id=comparison_id, made_at=_now(), title=title, queries=list(queries),
                picture_a=_keep(db, pictures["A"]), picture_b=_keep(db, pictures["B"]),
                verdict=verdict.model_dump(mode="json")))
        return comparison_id

    def give_feedback(self, comparison_id: str, feedback: str) -> None:
        """Keep who was right; a later word replaces an earlier one. Raises InputError."""
        if feedback not in FEEDBACK:
            raise InputError(f"got feedback {feedback!r}; allowed is {', '.join(FEEDBACK)}")
        with self._engine.begin() as db:
            done = db.execute(update(_comparisons)
                              .where(_comparisons.c.comparison_id == comparison_id)
                              .values(feedback=feedback, feedback_at=_now()))
        if done.rowcount != 1:
            raise InputError(f"no comparison {comparison_id!r} in the history")

    def get(self, comparison_id: str) -> Saved:
        """One comparison; raises InputError if it is not (or no longer) there."""
        found = self._read(0, 1, _comparisons.c.comparison_id == comparison_id)
        if not found:
            raise InputError(f"no comparison {comparison_id!r} in the history")
        return found[0]

    def latest(self, limit: int, offset: int = 0) -> list[Saved]:
        """Comparisons, newest first."""
        return self._read(offset, limit)

    def with_feedback(self) -> list[Saved]:
        """Every comparison that a user has given feedback on, newest first."""
        return self._read(0, None, _comparisons.c.feedback.is_not(None))

    def delete(self, comparison_id: str) -> None:
        """Forget one comparison, and its images unless another one shows them."""
        mine = _comparisons.c.comparison_id == comparison_id
        with self._engine.begin() as db:
            digests = db.execute(
                select(_comparisons.c.picture_a, _comparisons.c.picture_b).where(mine)).first()
            db.execute(delete(_comparisons).where(mine))
            for digest in set(digests or ()):
                shown = select(_comparisons.c.comparison_id).where(or_(
                    _comparisons.c.picture_a == digest, _comparisons.c.picture_b == digest))
                if db.execute(shown.limit(1)).first() is None:
                    db.execute(delete(_pictures).where(_pictures.c.digest == digest))

    def _read(self, offset: int, limit: int | None, *where: object) -> list[Saved]:
        a, b = _pictures.alias("a"), _pictures.alias("b")
        asked = (select(_comparisons, a.c.jpeg.label("jpeg_a"), b.c.jpeg.label("jpeg_b"))
                 .join(a, _comparisons.c.picture_a == a.c.digest)
                 .join(b, _comparisons.c.picture_b == b.c.digest)
                 .where(*where)  # type: ignore[arg-type]
                 .order_by(_comparisons.c.made_at.desc(), _comparisons.c.comparison_id)
                 .offset(offset).limit(limit))
        with self._engine.connect() as db:
            return [_saved(row) for row in db.execute(asked).mappings()]


def _keep(db: Connection, jpeg: bytes) -> str:
    digest = hashlib.sha256(jpeg).hexdigest()
    if db.execute(select(_pictures.c.digest).where(_pictures.c.digest == digest)).first() is None:
        db.execute(insert(_pictures).values(digest=digest, jpeg=jpeg))
    return digest


def _saved(row: RowMapping) -> Saved:
    return Saved(row["comparison_id"], row["made_at"], row["title"], tuple(row["queries"]),
                 {"A": row["jpeg_a"], "B": row["jpeg_b"]},
                 Verdict.model_validate(row["verdict"]), row["feedback"])


def _now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _make_private(database: str | None) -> None:
    """Let nobody else on this machine read the history; SQLite's side files follow the main one."""
    if not database or database == ":memory:" or database.startswith("file:"):
        return
    with contextlib.suppress(OSError):  # a folder that is not there is told when it is opened
        os.close(os.open(database, os.O_CREAT, 0o600))
        os.chmod(database, 0o600)


def _set_up_sqlite(connection: object, _record: object) -> None:
    connection.execute("PRAGMA foreign_keys=ON")  # type: ignore[attr-defined]
    connection.execute("PRAGMA journal_mode=WAL")  # type: ignore[attr-defined]
