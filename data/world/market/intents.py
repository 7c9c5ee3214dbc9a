"""Define which shopper needs a creative's words and scene meet, and how they are typed.

A query carries at most one intent; a creative that legibly says or shows it meets the query. The
phrases are those that `phrases` puts on creatives; their meaning is our choice.
"""

from __future__ import annotations

from collections.abc import Iterable

PHRASES = {  # intent -> the headlines that promise it
    "deal": (
        "50% OFF",
        "BUY 2 GET 1",
        "FLASH SALE",
        "MEGA DEAL",
        "SPRING SALE",
        "LOWEST PRICE",
        "LIMITED TIME",
        "FREE SHIPPING",
        "限时抢购",
        "全场五折",
        "买二送一",
        "包邮到家",
        "年中大促",
        "领券立减",
        "前一小时九折",
        "低至三折",
        "品牌直降",
        "赶上了这次降价",
        "买贵必赔",
    ),
    "quality": ("PREMIUM QUALITY", "MADE TO LAST", "TOP RATED", "品质保证", "终身保修", "轻奢质感"),
    "new": ("NEW ARRIVAL", "TRENDING", "BACK IN STOCK", "新品上市", "时尚潮搭"),
    "popular": ("BEST SELLER", "EDITOR'S PICK", "爆款热卖", "老师推荐"),
    "gift": ("GIFT INSIDE", "进店有好礼"),
}
ASKED = {  # intent -> the query for a noun
    "": "{noun}",
    "deal": "cheap {noun}",
    "quality": "durable {noun}",
    "new": "new {noun}",
    "popular": "popular {noun}",
    "gift": "{noun} gift",
    "scene": "{noun} ideas",
}
SCENES = ("photograph", "soft photograph", "shelf")  # backdrops that show a place
ATTRIBUTE = "attribute: "


def kind_of(intent: str) -> str:
    """The kind of query (see people.KIND_WEIGHTS) that carries an intent."""
    return {"": "plain", "deal": "price", "scene": "scene"}.get(intent, "need")


def query_text(noun: str, intent: str) -> str:
    """How shoppers type it."""
    if intent.startswith(ATTRIBUTE):
        return f"{intent.removeprefix(ATTRIBUTE)} {noun}".lower()
    return ASKED[intent].format(noun=noun).lower()


def intents_of(
    said: Iterable[tuple[str, str]], attributes: Iterable[str], backdrop: str
) -> set[str]:
    """The intents a creative meets: `said` are the (role, words) of its legible texts."""
    found = {"scene"} if backdrop in SCENES else set()
    names = {name.lower() for name in attributes}
    for role, words in said:
        if role == "price":
            found.add("deal")
        if role != "point":
            continue
        if words.lower() in names:
            found.add(ATTRIBUTE + words.lower())
        found |= {
            intent
            for intent, phrases in PHRASES.items()
            if any(words.upper().endswith(phrase) for phrase in phrases)
        }
    return found
