"""Find a text file's encoding by its bytes: UTF-8, UTF-16, GBK or Windows-1252, or refuse it.

What is not UTF-8 is told once in the log. Bytes are never replaced: a file whose encoding cannot be
told is refused whole, so that no row is judged on mangled words.

Detection is an ordered strict decoding with a check of plausibility, not `charset-normalizer`: on
files of 1, 3 and 10 short rows that finds 7, 8 and 10 of 10 GBK files and 3, 4 and 3 of 10
Windows-1252 files (it answers cp1250, cp932 and others), because it needs running text. The two
encodings are told apart by structure: a Chinese character in GBK is two bytes that are nearly
always of the 3,755 common characters of GB 2312 (lead byte B0 to D7, second byte A1 or above); an
accented letter in Windows-1252 is one byte among ASCII letters.
"""

from __future__ import annotations

import codecs
import functools
import logging
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from creative4u.errors import InputError
from creative4u.user_paths import opened, read_bytes, short_name

MOST_OTHER = 1 << 30  # bytes of a file that is not UTF-8; it is decoded whole to find out
COMMON = 0.8  # least share of a GBK file's double bytes that are common characters or signs
FEW = 10  # one line of so many, or fewer, is damage and not another encoding
KOREAN = 8  # characters; so many, all within the range of Korean syllables, are not Chinese
_BOMS = (
    (codecs.BOM_UTF8, "utf-8-sig", "UTF-8"),
    (codecs.BOM_UTF32_LE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF32_BE, "utf-32", "UTF-32"),
    (codecs.BOM_UTF16_LE, "utf-16", "UTF-16"),
    (codecs.BOM_UTF16_BE, "utf-16", "UTF-16"),
)
# Letters and signs of Western European text; others of Windows-1252 (þ, ý, ‡) hint elsewhere.
_WESTERN = frozenset(
    "àáâãäåæçèéêëìíîïñòóôõöøùúûüœšžßÀÁÂÃÄÅÆÇÈÉÊËÌÍÎÏÑÒÓÔÕÖØÙÚÛÜŒŠŽ"
    "€£¥§©®™°·²³½¼¾×±«»‹›“”„‘’‚–—…•¿¡ªº´µ\xa0\xad"
)
_ODD = (
    re.compile(r"[^\x00-\x7f\s]{4,}"),  # words of high bytes: Cyrillic, Greek
    re.compile(r"[A-Za-z][£¥©®™°²³½¼¾×±¿¡ªº´µ][a-z]|[£¥®™²³½¼¾ª´][a-z]"),  # in a word: Latin-2
    re.compile("[ÃÂ][^\x00-\x7fA-Za-zÀ-ÿ]"),  # UTF-8 read as Windows-1252
)
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Encoding:
    """How a text file is decoded; `damaged`: it is UTF-8 but for some lines."""

    codec: str
    name: str = "UTF-8"
    damaged: bool = False


def open_text(path: Path) -> IO[str]:
    """The file as text, by its own encoding, newlines as they are; raises InputError.

    Damaged bytes of a UTF-8 file come as lone surrogates (`is_text` tells): the row is bad.
    """
    encoding = encoding_of(path)
    return path.open(
        encoding=encoding.codec,
        errors="surrogateescape" if encoding.damaged else "strict",
        newline="",
    )


def read_text(path: Path) -> str:
    """The whole file as text; raises InputError where a byte of it does not decode."""
    encoding = encoding_of(path)
    if encoding.damaged:
        raise InputError(f"{short_name(path)}: not all of it is UTF-8; save it as UTF-8")
    with path.open(encoding=encoding.codec) as file:
        return file.read()


def is_text(value: str) -> bool:
    """Whether a text can be written in UTF-8: no half of a surrogate pair stands alone in it."""
    return value.isascii() or not any("\ud800" <= char <= "\udfff" for char in value)


def encoding_of(path: Path) -> Encoding:
    """The encoding of a file; raises InputError where it cannot be read or told."""
    with opened(path) as file:
        found = os.fstat(file.fileno())
    return _encoding_of(path, found.st_size, found.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _encoding_of(path: Path, size: int, changed: int) -> Encoding:
    """The same, and the line for the log, once for each state of the file."""
    with opened(path) as file:
        start = file.read(1 << 16)
        for mark, codec, name in _BOMS:
            if start.startswith(mark):
                return _checked(path, Encoding(codec, name))
        if b"\0" in start[:4096]:
            return _checked(path, Encoding(_without_mark(path, start), "UTF-16"))
        file.seek(0)
        lines = _counted(file)
    if not lines.bad:
        return Encoding("utf-8")
    found = guessed(read_bytes(path, MOST_OTHER))
    if found is None and (lines.good or 1 < lines.all >= FEW * lines.bad):
        return Encoding("utf-8", damaged=True)
    if found is None:
        line, byte = lines.first_bad
        raise InputError(
            f"{short_name(path)}: line {line} is not UTF-8 (byte {byte:02X}), and the file fits "
            "neither GBK nor Windows-1252; save it as UTF-8"
        )
    _log.warning("%s: read as %s (it is not UTF-8)", short_name(path), found.name)
    return found


def guessed(data: bytes) -> Encoding | None:
    """GBK or Windows-1252 for bytes that are not UTF-8; None where neither is plausible."""
    if _is_gbk(data):
        return Encoding("gb18030", "GBK")
    if _is_western(data):
        return Encoding("cp1252", "Windows-1252")
    return None


def _checked(path: Path, encoding: Encoding) -> Encoding:
    """The encoding, if all of the file decodes by it."""
    try:
        with path.open(encoding=encoding.codec, newline="") as file:
            while file.read(1 << 20):
                pass
    except UnicodeError as error:
        raise InputError(
            f"{short_name(path)}: starts as {encoding.name} and does not decode as it ({error}); "
            "save it as UTF-8"
        ) from error
    if encoding.name != "UTF-8":
        _log.warning("%s: read as %s", short_name(path), encoding.name)
    return encoding


def _without_mark(path: Path, start: bytes) -> str:
    """UTF-16's byte order by where the zeros of its ASCII characters stand."""
    even, odd = start[::2].count(0), start[1::2].count(0)
    if max(even, odd) < max(4 * min(even, odd), len(start) / 8):
        raise InputError(f"{short_name(path)}: holds zero bytes; it is no text file")
    return "utf-16-le" if odd > even else "utf-16-be"


@dataclass
class _Lines:
    """Lines of a file; `good` need UTF-8 and are it, `bad` are not, the first with that byte."""

    all: int = 0
    good: int = 0
    bad: int = 0
    first_bad: tuple[int, int] = (0, 0)


def _counted(file: IO[bytes]) -> _Lines:
    lines = _Lines()
    for line in file:
        lines.all += 1
        if line.isascii():
            continue
        try:
            line.decode("utf-8")
            lines.good += 1
        except UnicodeDecodeError as error:
            if not lines.bad:
                lines.first_bad = (lines.all, line[error.start])
            lines.bad += 1
    return lines


def _is_gbk(data: bytes) -> bool:
    try:
        data.decode("gb18030")
    except UnicodeDecodeError:
        return False
    common = pairs = place = 0
    korean = True
    while place < len(data):
        lead = data[place]
        if lead < 0x80:
            place += 1
            continue
        second = data[place + 1]
        signs = lead in (0xA1, 0xA3) and second >= 0xA1  # punctuation, full-width ASCII
        four = second <= 0x39  # GB 18030's rare characters take four bytes
        hanzi = 0xB0 <= lead <= 0xD7 and second >= 0xA1
        if hanzi or not signs:
            pairs += 1
            common += hanzi
            korean = korean and 0xB0 <= lead <= 0xC8
        place += 4 if four else 2
    return pairs > 0 and common >= COMMON * pairs and not (korean and pairs >= KOREAN)


def _is_western(data: bytes) -> bool:
    try:
        text = data.decode("cp1252")
    except UnicodeDecodeError:
        return False
    high = {char for char in text if char > "\x7f"}
    return high <= _WESTERN and not any(odd.search(text) for odd in _ODD)
