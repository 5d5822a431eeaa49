"""Debian's Chromium, driven by Playwright: nothing of Playwright's own is ever downloaded."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, async_playwright

from scripts import tools

# Nothing of Google's is asked on the side, and root may start it.
ARGUMENTS = (
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-features=Translate,OptimizationHints,MediaRouter",
    "--force-color-profile=srgb",
    "--hide-scrollbars",
    "--no-first-run",
)


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """Start the system's Chromium, or the one unpacked by `scripts.tools`."""
    program = tools.find("chromium")
    assert program is not None, f"There is no Chromium: {tools.what_to_do('chromium')}."
    options: dict[str, Any] = {"env": {**os.environ, **tools.environment_of("chromium")}}
    arguments = [*ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=program, args=arguments, **options
        )
        try:
            yield browser
        finally:
            await browser.close()
