"""A page that cannot be served says so in one line."""

import socket
from pathlib import Path

import pytest
from fake_judge import FakeJudge

from app.page import start
from app.store import Store
from app.uploads import VisitorFiles
from creative4u.errors import InputError


def test_a_taken_port_is_bad_input(tmp_path: Path, uploads: VisitorFiles) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        store = Store(f"sqlite:///{tmp_path / 'history.sqlite3'}")
        with pytest.raises(InputError, match=f"port {port}"):
            start(FakeJudge(), store, uploads, port=port)
