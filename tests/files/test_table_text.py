"""Encodings: what comes out is what was written, or the file is refused; never a replaced byte."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from creative4u.errors import InputError
from creative4u.files.table_text import encoding_of, guessed, open_text, read_text

CHINESE = ["黑色乐福鞋 男士", "夏季新款连衣裙", "保温杯 大容量", "真皮公文包", "旅行箱 24寸", "包"]
WESTERN = ["Café crème", "Schöne Schuhe für Männer", "Größe 42", "Bolso de señora", "20 € – neu",
           "Sac à main élégant", "São Paulo", "Crème brûlée", "L’été", "½ litre"]  # fmt: skip
HEAD = "pair_id,product_title,queries,image_a,image_b\np1,"
ROOM = [HealthCheck.function_scoped_fixture]


def written(folder: Path, data: bytes) -> Path:
    """A file of a name of its own: encodings are remembered by name, size and time."""
    path = folder / f"{len(list(folder.iterdir()))}.csv"
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("title", CHINESE)
def test_one_short_row_of_gbk_is_told_from_windows_1252(title: str) -> None:
    found = guessed(f"{HEAD}{title},x,a.jpg,b.jpg\r\n".encode("gbk"))
    assert found is not None
    assert found.name == "GBK"


@pytest.mark.parametrize("title", WESTERN)
def test_one_short_row_of_windows_1252_is_told_from_gbk(title: str) -> None:
    found = guessed(f"{HEAD}{title},x,a.jpg,b.jpg\r\n".encode("cp1252"))
    assert found is not None
    assert found.name == "Windows-1252"


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("Обувь мужская", "cp1251"), ("Красные туфли", "koi8-r"),
        ("가죽 가방 남성 운동화", "cp949"), ("黑色樂福鞋 無線藍牙耳機", "big5"),
        ("黒いローファー", "shift_jis"), ("ワンピース", "euc_jp"),
        ("Ładne buty męskie", "cp1250"), ("Příliš žluťoučký", "cp1250"), ("Παπούτσια", "cp1253"),
        ("Kırmızı ayakkabı", "cp1254"), ("ÿþÿþ", "latin-1"),
    ],
)  # fmt: skip
def test_other_encodings_are_refused(text: str, codec: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"{HEAD}{text},x,a.jpg,b.jpg\n".encode(codec))
    with pytest.raises(InputError, match="line 2 is not UTF-8") as caught:
        encoding_of(path)
    assert "\n" not in str(caught.value)


@given(
    codec=st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]),
    text=st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=40),
)
@settings(max_examples=80, deadline=None, suppress_health_check=ROOM)
def test_unicode_comes_back_as_it_was_written(codec: str, text: str, tmp_path: Path) -> None:
    path = written(tmp_path, f"{HEAD}{text}".encode(codec))
    assert read_text(path) == HEAD + text


@given(titles=st.lists(st.sampled_from(CHINESE), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None, suppress_health_check=ROOM)
def test_gbk_comes_back_as_it_was_written(titles: list[str], tmp_path: Path) -> None:
    text = "".join(f"{HEAD}{title},x\n" for title in titles)
    assert read_text(written(tmp_path, text.encode("gbk"))) == text


@given(titles=st.lists(st.sampled_from(WESTERN), min_size=1, max_size=6))
@settings(max_examples=40, deadline=None, suppress_health_check=ROOM)
def test_windows_1252_comes_back_as_it_was_written(titles: list[str], tmp_path: Path) -> None:
    text = "".join(f"{HEAD}{title},x\n" for title in titles)
    assert read_text(written(tmp_path, text.encode("cp1252"))) == text


@given(data=st.binary(max_size=200))
@settings(max_examples=150, deadline=None, suppress_health_check=ROOM)
def test_any_bytes_are_decoded_or_refused_in_one_line(data: bytes, tmp_path: Path) -> None:
    path = written(tmp_path, data)
    try:
        with open_text(path) as lines:
            text = lines.read()
    except InputError as error:
        said, text = str(error), ""
    else:
        said = ""
    assert "\n" not in said
    wide = data[:2] in (b"\xff\xfe", b"\xfe\xff") or b"\0" in data
    assert "\ufffd" not in text or wide or "\ufffd".encode() in data


def test_utf_16_without_a_mark_is_known_by_its_zeros(tmp_path: Path) -> None:
    for codec in ("utf-16-le", "utf-16-be"):
        assert read_text(written(tmp_path, f"{HEAD}Loafers".encode(codec))) == HEAD + "Loafers"
    with pytest.raises(InputError, match="no text file"):
        encoding_of(written(tmp_path, bytes(range(64)) * 9))


def test_a_cut_utf_16_file_is_refused_before_it_is_read(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="starts as UTF-16 and does not decode as it"):
        encoding_of(written(tmp_path, "Loafers".encode("utf-16")[:-1]))


def test_what_was_taken_is_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path, f"{HEAD}{CHINESE[0]}".encode("gbk"))
    for _ in range(3):
        read_text(path)
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: read as GBK (it is not UTF-8)"
    ]
    assert caplog.records[0].levelno == logging.WARNING
    caplog.clear()
    read_text(written(tmp_path, f"{HEAD}{CHINESE[0]}".encode()))
    assert not caplog.records


def test_a_damaged_line_of_utf_8_is_no_other_encoding(tmp_path: Path) -> None:
    good = "Größe 黑色\n".encode()
    path = written(tmp_path, good * 3 + b"\xff\xfe damaged\n" + good)
    assert encoding_of(path).damaged
    with pytest.raises(InputError, match="not all of it is UTF-8"):
        read_text(path)
