"""Measure how many of the shoppers' queries the words on a creative cover.

A query is met by a word of its own that the picture says, or by a word of the interest that it
voices: a cheap thing by prices and discounts, a gift by the word gift. The interests and their
words are our choice, in English and Chinese.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

LEAST = 3  # letters of a word that can be told from others (two in Chinese)


@dataclass(frozen=True)
class Interest:
    """What shoppers type when they have it, and what creatives say to it; all in small letters."""

    asked: tuple[str, ...]
    said: tuple[str, ...]


INTERESTS = (
    Interest(
        ("cheap", "affordable", "budget", "discount", "sale", "deal", "price", "low cost",
         "便宜", "优惠", "特价", "打折", "平价"),
        ("%", "off", "sale", "deal", "price", "discount", "save", "free", "buy", "clearance",
         "$", "€", "£", "¥", "￥", "元", "折", "减", "降", "省", "券", "优惠", "促", "抢购", "特价",
         "包邮", "便宜", "买"),
    ),
    Interest(
        ("durable", "quality", "sturdy", "premium", "reliable", "耐用", "质量", "品质"),
        ("quality", "durable", "last", "premium", "rated", "warranty", "sturdy", "certified",
         "品质", "质感", "质保", "保修", "保证", "耐用", "正品"),
    ),
    Interest(
        ("new", "latest", "trending", "新款", "新品", "最新"),
        ("new", "arrival", "latest", "trending", "back in stock", "新品", "新款", "上新", "上市",
         "潮"),
    ),
    Interest(
        ("popular", "best", "top", "hot", "热门", "热销", "推荐"),
        ("best seller", "bestseller", "popular", "pick", "favourite", "favorite", "hot",
         "爆款", "热卖", "热销", "畅销", "推荐"),
    ),
    Interest(
        ("gift", "present", "礼物", "送礼"),
        ("gift", "present", "礼", "赠"),
    ),
)  # fmt: skip
_WORD = re.compile(r"[^\W\d_]+")
_SHORT = re.compile(r"[\u4e00-\u9fff]{2,}")


def met(queries: Sequence[str], lines: Iterable[str]) -> float:
    """The share of the queries that the lines meet, 0 to 1; 0 where there are no queries.

    Words that all of several queries share name the product, and meet none of them.
    """
    said = "\n".join(_close(line) for line in lines)
    if not said or not queries:
        return 0.0
    asked = [_words(query) for query in queries]
    common = set.intersection(*asked) if len(asked) > 1 else set()
    return sum(_answers(query, words - common, said)
               for query, words in zip(queries, asked, strict=True)) / len(queries)


def _answers(query: str, words: set[str], said: str) -> bool:
    if any(_close(word) in said for word in words):
        return True
    low = query.lower()
    return any(any(_has(low, word) for word in interest.asked)
               and any(_close(cue) in said for cue in interest.said) for interest in INTERESTS)


def _has(query: str, asked: str) -> bool:
    """Whether the query holds the word: as a whole word where it is written in letters."""
    return bool(re.search(rf"\b{re.escape(asked)}\b", query)) if asked.isascii() else asked in query


def _words(query: str) -> set[str]:
    low = query.lower()
    return {word for word in _WORD.findall(low) if word.isascii() and len(word) >= LEAST} | set(
        _SHORT.findall(low))


def _close(text: str) -> str:
    """Small letters without spaces: readers often lose them."""
    return re.sub(r"\s+", "", text.lower())
