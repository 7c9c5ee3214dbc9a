"""Text on a picture is read; a plain picture has none; nothing is fetched, written or printed."""

import subprocess
import sys

from PIL import Image, ImageDraw, ImageFont

from creative4u.backbone.ocr import read_lines

WATCHED = """
import sys
from pathlib import Path

def watch(event, args):
    if event in ("socket.connect", "socket.getaddrinfo"):
        sys.exit(f"{event} {args}")
    if event == "open" and isinstance(args[1], str) and set(args[1]) & set("wax+"):
        sys.exit(f"writes {args[0]}")
    if event in ("os.mkdir", "os.rename", "os.remove") and not Path(str(args[0])).exists():
        sys.exit(f"{event} {args}")

sys.dont_write_bytecode = True
sys.addaudithook(watch)
from PIL import Image
from creative4u.backbone.ocr import read_lines
assert read_lines([Image.new("RGB", (320, 200), "white")]) == [()]
"""


def test_large_words_are_read_and_a_plain_picture_has_none() -> None:
    plain = Image.new("RGB", (320, 200), "white")
    written = plain.copy()
    ImageDraw.Draw(written).text((30, 70), "SALE 50%", "black", ImageFont.load_default(48))
    wide = written.resize((1600, 1000))  # over the longest side that is read
    said = ["".join(lines).replace(" ", "") for lines in read_lines([plain, written, wide])]
    assert said == ["", "SALE50%", "SALE50%"]


def test_the_reader_is_quiet_and_neither_fetches_nor_writes() -> None:
    done = subprocess.run([sys.executable, "-c", WATCHED], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
