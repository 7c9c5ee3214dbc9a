"""A page that cannot be served says so in one line."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_judge import FakeJudge

from app.history import Store
from app.page import check_port, main, start
from app.visitors.uploads import VisitorFiles
from creative4u.errors import InputError


@pytest.fixture
def port() -> Iterator[int]:
    """A port that is taken."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        yield taken.getsockname()[1]


def test_a_taken_port_is_bad_input(port: int, tmp_path: Path, uploads: VisitorFiles) -> None:
    store = Store(f"sqlite:///{tmp_path / 'history.sqlite3'}")
    with pytest.raises(InputError, match=f"port {port}"):
        start(FakeJudge(), store, uploads, port=port)


def test_a_taken_port_is_told_before_a_model_is_looked_for(port: int) -> None:
    with pytest.raises(InputError, match=f"cannot listen on 127.0.0.1, port {port}: "):
        main(port=port, model="/no/such/model")


def test_an_address_that_is_not_ours_is_bad_input() -> None:
    with pytest.raises(InputError, match=r"cannot listen on 203\.0\.113\.1, port any: "):
        check_port("203.0.113.1", None)  # reserved for documentation
