"""Define the front door: one verb per job, a table or one JSON object as output.

    creative4u select A.jpg B.png --title "Dell G3 gaming laptop" --query "gaming laptop"

A verb imports the rooms it needs inside itself, so that `creative4u --help` answers at once.
"""

from __future__ import annotations

from typing import Annotated

import typer

from creative4u.cli import bench, data, moon, rft, serve
from creative4u.cli import judge as judge_verbs
from creative4u.cli.console import LOADING, Dtype, announced, print_json, quiet, verbs, working
from creative4u.cli.ctr import verbs as ctr

Title = Annotated[str, typer.Option("--title", help="The product title, as shoppers see it.")]
Queries = Annotated[
    list[str] | None, typer.Option("--query", help="What shoppers search for; may be repeated.")
]
Model = Annotated[
    str | None,
    typer.Option(help="A local folder, a hub id or http://...; the embedded model by default."),
]
OneOrder = Annotated[bool, typer.Option("--one-order", help="A first only: half the time.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]

app = verbs("Which of two creatives of a product will be clicked, and why.")


@app.command()
def select(
    image_a: Annotated[str, typer.Argument(metavar="A", help="The one creative.")],
    image_b: Annotated[str, typer.Argument(metavar="B", help="The other creative.")],
    title: Title,
    query: Queries = None,
    model: Model = None,
    one_order: OneOrder = False,
    dtype: Dtype = "auto",
    json: Json = False,
) -> None:
    """Choose between two creatives of one product, with reasons.

    Example: `creative4u select A.jpg B.png --title "Dell G3 gaming laptop" --query "gaming laptop"`
    """
    with working():
        from creative4u.images import load_image
        from creative4u.selector.protocol.prompt import clean_request

        pictures = load_image(image_a), load_image(image_b)
        words = clean_request(title, query or ())
        from creative4u.selector.judge import PairRequest

        request = PairRequest(*pictures, *words)
        with announced(LOADING):
            from creative4u.selector.loading import start_judge

            judge = start_judge(model, request=request, dtype=dtype)
        verdict = judge.select(request, both_orders=not one_order)
    if json:
        print_json(verdict.model_dump(mode="json"))
    else:
        from creative4u.cli.tables import show_verdict

        show_verdict(verdict)


@app.command()
def rank(
    images: Annotated[list[str], typer.Argument(help="Two to 64 creatives of one product.")],
    title: Title,
    query: Queries = None,
    model: Model = None,
    dtype: Dtype = "auto",
    json: Json = False,
) -> None:
    """Order any number of creatives of one product by a tournament of pairs.

    Example: `creative4u rank a.jpg b.jpg c.png --title "Trail running shoe"`
    """
    with working():
        from creative4u.images import load_image
        from creative4u.selector.protocol.prompt import clean_request
        from creative4u.selector.tournament import check_size, rank_creatives

        check_size(len(images))
        pictures = [load_image(image) for image in images]
        words = clean_request(title, query or ())
        with announced(LOADING):
            from creative4u.selector.loading import start_judge

            judge = start_judge(model, dtype=dtype)
        ranking = rank_creatives(judge, pictures, images, *words)
    if json:
        print_json(ranking)
    else:
        from creative4u.cli.tables import show_ranking

        show_ranking(ranking)


app.command()(judge_verbs.judge)
app.command("judge-export")(judge_verbs.judge_export)
app.command("judge-import")(judge_verbs.judge_import)
app.command()(judge_verbs.evaluate)
app.command()(serve.serve)


@app.command("app")
def page(
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="The first free one from 7860 by default.")
    ] = None,
    model: Model = None,
    store: Annotated[
        str | None, typer.Option(help="An SQLAlchemy URL for the history; SQLite by default.")
    ] = None,
    dtype: Dtype = "auto",
) -> None:
    """Open the web page.

    Example: `creative4u app --port 7861`
    """
    with quiet(), announced("loading the page and its judge ..."):
        from creative4u.proxies import check_kinds

        check_kinds()  # Gradio makes its clients when it is imported
        from app.page import main as open_page

        open_page(host, port, model, store, dtype)


app.add_typer(data.app, name="data")
app.add_typer(rft.app, name="rft")
app.add_typer(moon.app, name="moon")
app.add_typer(ctr.app, name="ctr")
app.add_typer(bench.app, name="bench")


def main() -> None:
    """The console script."""
    from creative4u.proxies import ask_directly

    ask_directly()
    app()
