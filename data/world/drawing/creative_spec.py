"""Draw the layout of a creative as a frozen spec; `variant` changes one factor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

SIZES = ((384, 384), (384, 384), (384, 384), (352, 384), (288, 384), (272, 384))  # width, height
BACKDROPS = {
    "studio": 0.40, "flat": 0.07, "gradient": 0.11, "shapes": 0.07, "texture": 0.05,
    "spotlight": 0.06, "glow": 0.04, "shelf": 0.05, "photograph": 0.05, "soft photograph": 0.04,
    "podium": 0.06,
}  # fmt: skip


@dataclass(frozen=True)
class Subject:
    """Lengths as shares of the picture: `extent` of its smaller side, `x` and `y` of each side."""

    extent: float = 0.7  # the longer side of the cut-out
    x: float = 0.5
    y: float = 0.52
    angle: float = 0.0  # degrees
    flip: bool = False
    quantity: int = 1
    whole: float = 1.0  # the share that is to stay inside the frame
    cut_edge: int = 0  # over which edge it leaves when cut: left, right, top, bottom
    grain: float = 0.2  # how much fine surface detail is laid over the render
    wrong: int = -1  # an index into the stock's other products, or -1 for the right one


@dataclass(frozen=True)
class Backdrop:
    kind: str = "studio"
    harmony: str = "neutral"  # neutral, similar, contrast, free
    pick: float = 0.5  # which photograph or pattern
    shadow: float = 0.5
    warmth: float = 0.0  # -1 blue ... 1 yellow


@dataclass(frozen=True)
class TextBlock:
    role: str = "point"  # point, price, call
    chinese: bool = False
    place: str = "top"  # top, bottom, corner, over
    height: float = 0.09  # of the picture's height, one line
    panel: bool = True
    legible: bool = True
    typeface: float = 0.0


@dataclass(frozen=True)
class CreativeSpec:
    """Everything that decides a creative's pixels, apart from the product itself."""

    seed: int = 0
    size: tuple[int, int] = (384, 384)
    subject: Subject = field(default_factory=Subject)
    backdrop: Backdrop = field(default_factory=Backdrop)
    text: tuple[TextBlock, ...] = ()
    props: int = 0  # supporting things beside the product
    clutter: float = 0.0  # 0..1
    dark: float = 0.0  # 0..1, underexposure
    bright: float = 0.0  # 0..1, overexposure
    blur: float = 0.0  # 0..1
    low_resolution: float = 0.0  # 0..1
    noise: float = 0.0  # 0..1
    frame: float = 0.0  # 0..1, a border
    inset: float = 0.0  # 0..1, a picture in the picture
    quality: int = 88  # of the JPEG file


def draw_subject(rng: np.random.Generator) -> Subject:
    extent = float(rng.uniform(0.3, 0.62) if rng.random() < 0.28 else rng.uniform(0.62, 0.98))
    quantity = int(rng.choice([1, 2, 3], p=[0.84, 0.11, 0.05]))
    return Subject(
        extent=extent,
        x=float(np.clip(rng.normal(0.5, 0.05), 0.3, 0.7)),
        y=float(np.clip(rng.normal(0.52, 0.04), 0.35, 0.68)),
        angle=float(rng.normal(0, 14)) if rng.random() < 0.6 else 0.0,
        flip=bool(rng.random() < 0.5),
        quantity=quantity,
        grain=float(rng.uniform(0, 0.36)),
        cut_edge=int(rng.integers(4)),
    )


def draw_backdrop(rng: np.random.Generator) -> Backdrop:
    return Backdrop(
        kind=str(rng.choice(list(BACKDROPS), p=list(BACKDROPS.values()))),
        harmony=str(
            rng.choice(["neutral", "similar", "contrast", "free"], p=[0.35, 0.2, 0.3, 0.15])
        ),
        pick=float(rng.random()),
        shadow=float(rng.uniform(0.2, 0.9)),
        warmth=float(rng.normal(0, 0.35)),
    )


def draw_text(rng: np.random.Generator, least: int = 1) -> tuple[TextBlock, ...]:
    """One to four blocks of one language, at most one of them over the subject."""
    chinese = bool(rng.random() < 0.5)
    typeface = float(rng.random())
    count = max(least, int(rng.choice([1, 1, 2, 2, 3, 4])))
    roles = ["point", *rng.choice(["point", "price", "call"], size=3).tolist()][:count]
    places = ["top" if rng.random() < 0.7 else "bottom", "bottom", "corner", "top"]
    over = rng.random() < 0.22
    return tuple(
        TextBlock(
            role=role,
            chinese=chinese,
            place="over" if over and i == count - 1 else places[i],
            height=float(rng.uniform(0.06, 0.15) if i == 0 else rng.uniform(0.05, 0.09)),
            panel=bool(rng.random() < (0.35 if i == 0 else 0.65)),
            legible=bool(rng.random() < 0.85),
            typeface=typeface,
        )
        for i, role in enumerate(roles)
    )


def _clean(rng: np.random.Generator) -> CreativeSpec:
    spec = CreativeSpec(
        seed=int(rng.integers(2**31)),
        size=SIZES[int(rng.integers(len(SIZES)))],
        subject=draw_subject(rng),
        backdrop=draw_backdrop(rng),
        text=draw_text(rng) if rng.random() < 0.45 else (),
        props=int(rng.integers(1, 4)) if rng.random() < 0.25 else 0,
        frame=float(rng.uniform(0.3, 1)) if rng.random() < 0.14 else 0.0,
        inset=float(rng.uniform(0.3, 1)) if rng.random() < 0.08 else 0.0,
        quality=int(rng.integers(62, 96)),
    )
    if spec.text and rng.random() < 0.75:  # most designers leave the words some room
        above = spec.text[0].place == "top"
        subject = replace(
            spec.subject, y=0.6 if above else 0.42, extent=min(spec.subject.extent, 0.74)
        )
        spec = replace(spec, subject=subject)
    return spec


def _cut(spec: CreativeSpec, rng: np.random.Generator) -> CreativeSpec:
    whole = float(rng.uniform(0.35, 0.92))
    extent = float(rng.uniform(0.55, 1.5))
    subject = replace(spec.subject, whole=whole, extent=extent, quantity=1)
    return replace(spec, subject=subject)


def _cover(spec: CreativeSpec, rng: np.random.Generator) -> CreativeSpec:
    block = replace(
        draw_text(rng)[0], place="over", height=float(rng.uniform(0.12, 0.24)), panel=True
    )
    return replace(spec, text=(*spec.text, block))


def _amount(name: str) -> Callable[[CreativeSpec, np.random.Generator], CreativeSpec]:
    def change(spec: CreativeSpec, rng: np.random.Generator) -> CreativeSpec:
        return replace(spec, **{name: float(rng.uniform(0.12, 1))})

    return change


Defect = Callable[[CreativeSpec, np.random.Generator], CreativeSpec]
DEFECTS: dict[str, tuple[Defect, float]] = {  # with how often each is drawn
    "blur": (_amount("blur"), 0.16),
    "low_resolution": (_amount("low_resolution"), 0.08),
    "dark": (_amount("dark"), 0.19),
    "bright": (_amount("bright"), 0.05),
    "noise": (_amount("noise"), 0.05),
    "clutter": (_amount("clutter"), 0.19),
    "cut": (_cut, 0.15),
    "cover": (_cover, 0.13),
}


def draw_creative(rng: np.random.Generator, defects: float = 0.36) -> CreativeSpec:
    """One layout; with probability `defects` it has a defect, and at times a second one."""
    spec = _clean(rng)
    if rng.random() < defects:
        weights = np.array([weight for _, weight in DEFECTS.values()])
        count = 1 if rng.random() < 0.8 else 2
        for name in rng.choice(list(DEFECTS), size=count, replace=False, p=weights / weights.sum()):
            spec = DEFECTS[str(name)][0](spec, rng)
    return spec


def variant(spec: CreativeSpec, factor: str, rng: np.random.Generator) -> CreativeSpec:
    """The same creative with one factor plainly changed; the rest, the seed too, stays.

    Factors: size, place, angle, quantity, backdrop, text, props, frame, inset, wrong and the
    defects' names. What is absent comes in, what is present goes away or changes by at least a
    third of its range. Raises KeyError for another name.
    """
    subject = spec.subject
    match factor:
        case "size":
            other = rng.uniform(0.28, 0.45) if subject.extent > 0.6 else rng.uniform(0.75, 0.95)
            return replace(spec, subject=replace(subject, extent=float(other)))
        case "place":
            x, y = rng.choice([0.27, 0.73]), rng.choice([0.32, 0.7])
            if abs(subject.x - 0.5) > 0.15:
                x, y = 0.5, 0.52
            return replace(spec, subject=replace(subject, x=float(x), y=float(y)))
        case "angle":
            turn = float(rng.choice([-1, 1]) * rng.uniform(25, 50))
            return replace(spec, subject=replace(subject, angle=subject.angle + turn))
        case "quantity":
            return replace(
                spec, subject=replace(subject, quantity=3 if subject.quantity == 1 else 1)
            )
        case "wrong":
            wrong = int(rng.integers(2**20)) if subject.wrong < 0 else -1
            return replace(spec, subject=replace(subject, wrong=wrong))
        case "backdrop":
            drawn = draw_backdrop(rng)
            while drawn.kind == spec.backdrop.kind:
                drawn = draw_backdrop(rng)
            return replace(spec, backdrop=drawn)
        case "text":
            return replace(spec, text=() if spec.text else draw_text(rng, least=2))
        case "props":
            return replace(spec, props=0 if spec.props else int(rng.integers(2, 4)))
        case "cut":
            if subject.whole < 1:
                return replace(spec, subject=replace(subject, whole=1.0))
            return _cut(spec, rng)
        case "cover":
            beside = tuple(block for block in spec.text if block.place != "over")
            return replace(spec, text=beside) if len(beside) < len(spec.text) else _cover(spec, rng)
        case (
            "frame" | "inset" | "blur" | "low_resolution" | "dark" | "bright" | "noise" | "clutter"
        ):
            now = getattr(spec, factor)
            then = 0.0 if now > 0.4 else float(rng.uniform(max(0.45, now + 0.34), 1))
            return replace(spec, **{factor: then})
    raise KeyError(f"no factor {factor!r}")
