"""A stock drawn by the tests themselves: no package, no photograph, no typeface file."""

from collections.abc import Sequence

from PIL import Image, ImageDraw

from data.world.drawing.render import Stock
from data.world.products.catalogue import Product

COLOURS = {"a": (220, 40, 40), "b": (40, 90, 220), "c": (40, 170, 60), "d": (240, 200, 40)}


def product(code: str = "a", category: str = "bags") -> Product:
    titles = {"bare": "red bag", "good": "Avelo red bag, roomy", "stuffed": "hot sale red bag"}
    return Product(
        f"p-{code}", code, f"thing {code}", category, ("roomy",), "", "Avelo", 20.0, titles, "箱包"
    )


def drawn_stock(codes: Sequence[str] = "abcd") -> Stock:
    cutouts = {}
    for code in codes:
        image = Image.new("RGBA", (200, 200), (0, 0, 0, 0))
        ImageDraw.Draw(image).rectangle([0, 0, 199, 199], fill=(*COLOURS[code], 255))
        cutouts[code] = image
    others = tuple(product(code, f"category {i % 3}") for i, code in enumerate(codes))
    return Stock(cutouts, others)
