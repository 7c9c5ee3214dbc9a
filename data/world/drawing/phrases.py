"""Write a creative's words from its product: selling point, price, call to action."""

from __future__ import annotations

import numpy as np

from data.world.products.catalogue import Product

ENGLISH_POINTS = (
    "NEW ARRIVAL", "BEST SELLER", "LIMITED TIME", "PREMIUM QUALITY", "50% OFF", "BUY 2 GET 1",
    "FREE SHIPPING", "FLASH SALE", "EDITOR'S PICK", "TOP RATED", "MEMBERS ONLY", "MEGA DEAL",
    "BACK IN STOCK", "SPRING SALE", "GIFT INSIDE", "LOWEST PRICE", "MADE TO LAST", "TRENDING",
)  # fmt: skip
CHINESE_POINTS = (
    "新品上市", "爆款热卖", "限时抢购", "品质保证", "全场五折", "买二送一", "包邮到家",
    "年中大促", "老师推荐", "领券立减", "前一小时九折", "终身保修", "进店有好礼", "低至三折",
    "时尚潮搭", "品牌直降", "收藏加购优先发货", "赶上了这次降价", "轻奢质感", "买贵必赔",
)  # fmt: skip
ENGLISH_CALLS = ("SHOP NOW", "BUY NOW", "ORDER TODAY", "ADD TO CART", "GET YOURS", "LEARN MORE")
CHINESE_CALLS = ("立即抢购", "点击购买", "马上抢", "立即查看", "加入购物车", "点击了解")


def selling_point(product: Product, chinese: bool, rng: np.random.Generator) -> str:
    """A headline: a stock phrase, an attribute or the product's name."""
    kind = rng.random()
    if chinese:
        phrase = str(rng.choice(CHINESE_POINTS))
        return f"{product.chinese}{phrase}" if kind < 0.3 else phrase
    if kind < 0.45:
        return str(rng.choice(ENGLISH_POINTS))
    words = str(rng.choice(product.attributes)) if kind < 0.75 else product.name
    return words.upper() if rng.random() < 0.6 else words.capitalize()


def price_tag(product: Product, chinese: bool, rng: np.random.Generator) -> str:
    """The product's price as shops write it."""
    if chinese:
        yuan = max(1, round(product.price * 7))
        return str(rng.choice([f"¥{yuan}", f"到手价{yuan}元", f"仅需{yuan}元"]))
    return str(
        rng.choice(
            [f"${product.price:.2f}", f"ONLY ${product.price:.0f}", f"NOW ${product.price:.2f}"]
        )
    )


def call_to_action(chinese: bool, rng: np.random.Generator) -> str:
    """What the button says."""
    return str(rng.choice(CHINESE_CALLS if chinese else ENGLISH_CALLS))
