"""Build the Gradio page from a judge and a history; `creative4u app` runs `main`."""

from __future__ import annotations

import os
import socket
from threading import Thread
from typing import Any

import gradio as gr
from PIL import Image
from starlette.middleware import Middleware

from app import render, tab_best_of, tab_compare, tab_history
from app.compare import Desk, Judges
from app.ctr_panel import Ctr
from app.history import Store
from app.moon_panel import Moon, load_moon
from app.visitors.upload_guard import Guard
from app.visitors.uploads import MAX_UPLOAD, VisitorFiles
from creative4u.errors import InputError
from creative4u.proxies import ask_directly
from creative4u.schema import Dtype
from creative4u.selector.judge import PairRequest
from creative4u.serving.server.signals import stopping_signals

BRAND = """<header class="c4-brand"><h1>Creative4U</h1>
<p>Two images for one product: see which is more likely to be clicked, and why.</p></header>"""


# Gradio gives every upload button the same name to screen readers.
NAME_UPLOADS = """() => {
  const name = () => ["A", "B"].forEach((side) => document
    .querySelectorAll(`#image-${side.toLowerCase()} button[aria-label^="Drop"]`)
    .forEach((button) => button.setAttribute("aria-label", `Choose creative ${side}`)));
  name();
  new MutationObserver(name).observe(document.body, {childList: true, subtree: true});
}"""


def build(judge: Judges, store: Store, files: VisitorFiles, moon: Moon | None = None,
          ctr: Ctr | None = None) -> gr.Blocks:
    """The page as Blocks, a file a tab. Needs `look()` when it is launched or mounted."""
    desk = Desk(judge, store)
    os.environ["GRADIO_TEMP_DIR"] = str(files.root)  # Gradio serves nothing from elsewhere
    with gr.Blocks(title="Creative4U", analytics_enabled=False, fill_width=True) as page:
        gr.HTML(BRAND)
        with gr.Tabs(elem_classes="c4-tabs"):
            with gr.Tab("Compare", id="compare"):
                tab_compare.build(desk, files, moon, ctr)
            with gr.Tab("Best of many", id="best"):
                tab_best_of.build(desk)
            with gr.Tab("History", id="history") as tab:
                tab_history.build(desk, files, tab, ctr)
        page.load(None, js=NAME_UPLOADS, api_visibility="private")
    page.queue(max_size=64, default_concurrency_limit=8, api_open=False)
    return page


def look() -> dict[str, Any]:
    """Theme and style sheet: the reader's own fonts, nothing loaded from elsewhere."""
    system = ("system-ui", "-apple-system", "Segoe UI", "Roboto", "Noto Sans", "sans-serif")
    theme = gr.themes.Base(primary_hue="teal", secondary_hue="teal", neutral_hue="slate",
                           radius_size="lg", font=system, font_mono=("ui-monospace", "monospace"))
    theme.set(button_primary_background_fill="*primary_700",
              button_primary_background_fill_hover="*primary_800",
              button_primary_background_fill_dark="*primary_700", button_primary_text_color="white",
              color_accent="*primary_700", block_label_text_weight="600")
    return {"theme": theme, "css": render.style(), "footer_links": []}


def start(judge: Judges, store: Store, files: VisitorFiles, host: str = "127.0.0.1",
          port: int | None = None, moon: Moon | None = None,
          ctr: Ctr | None = None) -> gr.Blocks:
    """Serve the page from threads of this process; `local_url` is where, `close()` ends it.

    Raises InputError where the address or the port is not free.
    """
    ask_directly(host)  # Gradio calls its own address before it says that it is ready
    page = build(judge, store, files, moon, ctr)
    try:
        page.launch(
            server_name=host, server_port=port, max_file_size=MAX_UPLOAD, share=False, quiet=True,
            ssr_mode=False, run_history=False, enable_monitoring=False, mcp_server=False,
            inbrowser=False, prevent_thread_lock=True, favicon_path=render.icon(),
            app_kwargs={"middleware": [Middleware(Guard, files=files)], "docs_url": None,
                        "redoc_url": None},
            **look())
    except OSError as error:
        raise InputError(f"cannot listen on {host}, port {port or 'any'}: {error}") from error
    return page


def check_port(host: str, port: int | None) -> None:
    """Raises InputError where a page could not listen."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        socket.create_server((str(address[0]), int(address[1])), family=family).close()
    except OSError as error:
        raise InputError(f"cannot listen on {host}, port {port or 'any'}: {error}") from error


def serve(judge: Judges, store: Store, host: str, port: int | None, moon: Moon | None = None,
          ctr: Ctr | None = None) -> None:
    """Serve the page until Ctrl+C or SIGTERM; then nothing of its visitors' files is left."""
    with stopping_signals():
        files = VisitorFiles()
        try:
            page = start(judge, store, files, host, port, moon, ctr)
            Thread(target=files.expire_for_ever, daemon=True).start()
            print(f"Creative4U is ready: open {page.local_url} (Ctrl+C stops it)", flush=True)
            page.block_thread()
            page.close(verbose=False)
        finally:
            files.close()


def main(host: str = "127.0.0.1", port: int | None = None, model: str | None = None,
         store: str | None = None, dtype: Dtype = "auto") -> None:
    """Load the judge, then serve the page until Ctrl+C. `store` is an SQLAlchemy URL."""
    check_port(host, port)  # before the model is loaded
    from creative4u.selector.loading import start_judge  # torch: only when a page is really served

    judge = start_judge(model, dtype=dtype)
    blank = Image.new("RGB", (224, 224), "white")
    judge.evidence(PairRequest(blank, blank, "product", ("product",)))  # all that looks is loaded
    serve(judge, Store(store), host, port, load_moon(), Ctr())
