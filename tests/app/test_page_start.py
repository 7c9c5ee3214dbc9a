"""A page that cannot be served says so in one line."""

import socket
from pathlib import Path

import pytest
from fake_judge import FakeJudge

from app.history import Store
from app.page import start
from creative4u.errors import InputError


def test_a_taken_port_is_bad_input(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(InputError, match=f"port {port}"):
            start(FakeJudge(), Store(f"sqlite:///{tmp_path / 'history.sqlite3'}"), port=port)
