"""Write a judge's model card: Markdown that says what was measured and how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Found = Mapping[str, Any]

INTRO = """# Model card: {name}

Chooses between two creatives of one product, with a reasoned protocol. Made by this project's own
recipes: CoT-SFT, then GRPO where the table below says so. This file is written by

```
{command}
```

## What it is for
Comparing two images of one product before they are shown, as one opinion beside others, and as a
small model that the whole pipeline can be tried with on a laptop. It is not for judging people,
not for claims about what is in an image beyond the protocol, and not a replacement for an A/B test.

## What it was trained on
Renders of a small shop with simulated shoppers (docs/data-card.md). Its labels are clicks of a
formula; nothing in the figures below says how real shoppers click.
"""
LIMITS = """## Limits
- Pairs of one product share images; intervals are drawn over products.
- A pair is in the data only where the CTRs are far apart: close calls are missing.
- The language model has 135 million parameters. It reads no words in an image; a text reader
  finds them, and of what they say only whether they meet a query counts. Its reasons follow a
  rubric written by hand.
- Choices come from what is observed, measured and recognised of each image, degrees in the prompt.
  Where those are wrong, the reasons are wrong in the same way.
- A title or query cannot give it orders (markup is neutralised), but it can still be misleading.
"""


def card(name: str, command: str, found: Found) -> str:
    """The whole card."""
    parts = [INTRO.format(name=name, command=command), _choice(found), _experts(found)]
    parts.append(_calibration(found))
    parts += [_questions(found), _reasons(found), _groups("By CTR gap", found["by_gap"])]
    parts += [_groups("By how the pair was made", found["by_tag"]), _coverage(found)]
    if found.get("rankers"):
        parts.append(_rankers(found))
    if found.get("training"):
        parts.append(_training(found["training"]))
    return "\n".join([*(part for part in parts if part), LIMITS])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def told(figure: Found) -> str:
    """`0.812 (0.78 to 0.84)`."""
    low, high = figure["interval"]
    return f"{figure['value']:.3f} ({low:.3f} to {high:.3f})"


def _choice(found: Found) -> str:
    rows = [
        ["pairs judged in both orders", str(found["AA"]["n"])],
        ["parse rate", f"{found['parse_rate']:.4f}"],
        ["AA (each order for itself)", told(found["AA"])],
        ["CA (right in both orders)", told(found["CA"])],
        ["orders agree", told(found["consistent"])],
        ["ties, inconclusive", f"{found['choices']['tie']}, {found['choices']['inconclusive']}"],
    ]
    if gain := found.get("gain"):
        rows += [
            ["AA before GRPO, and the gain", f"{gain['AA_before']:.3f}, {told(gain['AA'])}"],
            ["CA before GRPO, and the gain", f"{gain['CA_before']:.3f}, {told(gain['CA'])}"],
        ]
    head = f"## Choices\n{found['pairs']}; 95 % intervals.\n\n"
    return head + table(["figure", "value"], rows) + "\n![figures](model-card.png)\n"


def _experts(found: Found) -> str:
    experts = found["experts"]
    if not experts:
        return ""
    names = {"evidence": "the evidence alone", "lm": "the language model alone",
             "both": "both, as the model is shipped"}  # fmt: skip
    rows = [[label, told(experts[name]["AA"]), told(experts[name]["CA"])]
            for name, label in names.items()]  # fmt: skip
    return (
        "## The two experts\nThe choice joins the language model's log odds and those of a "
        "regression on measured properties, which also stand in its prompt. The evidence decided "
        f"against the language model in {told(experts['overruled'])} of the orders.\n\n"
        + table(["judge", "AA", "CA"], rows)
    )


def _calibration(found: Found) -> str:
    ece = found["calibration"]
    rows = [["ECE, as the model is shipped", told(ece["ece_as_told"])]]
    if "ece_lm_alone" in ece:
        rows += [["ECE of the language model alone, unscaled", told(ece["ece_lm_alone"])],
                 ["ECE of the evidence alone", told(ece["ece_evidence_alone"])]]  # fmt: skip
    if fitted := ece.get("refitted"):
        rows.append([
            f"ECE, refitted on {ece['fitted_on']} validation pairs: position bias "
            f"{fitted['position_bias']:.2f}, scale of the model {fitted['lm_scale']:.2f}, weight "
            f"of the evidence {fitted['evidence_weight']:.2f}", told(ece["ece_refitted"]),
        ])  # fmt: skip
    return "## Calibration\n" + table(["figure", "value"], rows)


def _questions(found: Found) -> str:
    rows = [[name, told(one), f"{one['commonest']:.3f}"] for name, one in found["questions"].items()
            if one["n"]]  # fmt: skip
    if not rows:
        return ""
    return "## Answers against the truth\n" + table(
        ["question", "right", "always the commonest answer"], rows
    )


def _reasons(found: Found) -> str:
    reasons = found.get("reasons")
    if not reasons:
        return ""
    rows = [[name, f"{share:.3f}", f"{reasons['chance']['by_line'].get(name, float('nan')):.3f}"]
            for name, share in reasons["by_line"].items()]  # fmt: skip
    rows.append(["all claims", f"{reasons['true']:.3f}", f"{reasons['chance']['true']:.3f}"])
    return (
        f"## Reasons against the facts\n{reasons['claims']} claims of {reasons['reasonings']} "
        "reasonings, each looked up in what was rendered; beside it the share that would hold by "
        "chance, each reasoning told of the next pair. Without any false claim: "
        f"{reasons['faultless']:.3f} of the reasonings.\n\n"
        + table(["line", "true claims", "by chance"], rows)
    )


def _groups(title: str, groups: Found) -> str:
    rows = [[name, str(one["n"]), told(one)] for name, one in groups.items()]
    return f"## {title}\n" + table(["pairs", "n", "AA"], rows) if rows else ""


def _coverage(found: Found) -> str:
    curve = found["risk_coverage"]
    rows = [[f"{share:.0%}", f"{right:.3f}"]
            for share, right in zip(curve["coverage"], curve["accuracy"], strict=True)
            if round(share * 100) % 20 == 0]  # fmt: skip
    return (
        "## Surest pairs first\nShare right of the surest pairs, for `inconclusive`; area under "
        f"risk {curve['area_under_risk']:.3f}.\n\n" + table(["surest", "share right"], rows)
    )


def _rankers(found: Found) -> str:
    rankers = found["rankers"]
    same = "the same" if rankers["pairs"] == found["AA"]["n"] else "all"
    rows = [[name, f"{share:.3f}"] for name, share in rankers["accuracy"].items()]
    return (
        f"## Beside simple rankers\nOn {same} {rankers['pairs']} test pairs "
        "(`creative4u data ceiling`).\n\n" + table(["ranker", "accuracy"], rows)
    )


def _training(training: Found) -> str:
    return "## Training\n" + table(["figure", "value"], [[k, str(v)] for k, v in training.items()])
