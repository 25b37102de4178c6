"""A real, headless Chromium for the tests of pages: Debian's browser, driven by playwright."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

_NAMES = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (  # nothing but what the page itself asks for
    "--headless",
    "--no-sandbox",  # root in a container has no user namespaces to build a sandbox from
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@dataclass
class Visit:
    """An open page, and all it said and asked for: console warnings and errors, exceptions, requests."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


def find_chromium() -> str:
    """The browser's path: $CHROMIUM or the first of the usual names; raises with what to install."""
    for name in (os.environ.get("CHROMIUM", ""), *_NAMES):
        found = shutil.which(name)
        if found:
            return found
    raise RuntimeError(
        "the tests of the report need Chromium: run .ci/browser.sh as root, or `apt-get install chromium`, "
        "or set CHROMIUM to its path"
    )


@contextmanager
def chromium() -> Iterator[Browser]:
    """A running browser, closed at the end."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=list(_QUIET))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def visit(browser: Browser, path: Path, width: int = 1280, height: int = 900, scheme: str = "light") -> Iterator[Visit]:
    """The file opened in a fresh context without a network, as an archivist would open it from a disk."""
    context = browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme="dark" if scheme == "dark" else "light",
        offline=True,
    )
    visited = Visit(context.new_page())
    page = visited.page
    page.on("console", lambda message: visited.complaints.append(message.text) if message.type != "log" else None)
    page.on("pageerror", lambda error: visited.complaints.append(str(error)))
    page.on("request", lambda request: visited.requests.append(request.url))
    try:
        page.goto(path.as_uri())
        yield visited
    finally:
        context.close()
