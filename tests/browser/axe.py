"""axe-core over a page: what keeps people from using it, by the rules of WCAG 2.2 A and AA."""

from functools import cache
from pathlib import Path
from typing import Any

from playwright.async_api import Page

VENDOR = Path(__file__).resolve().parent / "vendor"
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")
GRAVE = ("serious", "critical")
_RUN = """
(tags) => axe.run(document, {runOnly: {type: "tag", values: tags}, resultTypes: ["violations"]})
"""


@cache
def _source() -> str:
    return (VENDOR / "axe.min.js").read_text(encoding="utf-8")


async def violations(page: Page) -> list[dict[str, Any]]:
    """Give everything that axe finds; the page's own rules for scripts stay in force."""
    if not await page.evaluate("typeof axe === 'object'"):
        await page.evaluate(_source())
    found = await page.evaluate(_RUN, list(TAGS))
    return list(found["violations"])


async def grave_findings(page: Page) -> list[str]:
    """Describe what axe finds serious or critical in what the page shows now."""
    return [_told(page, one) for one in await violations(page) if one["impact"] in GRAVE]


async def assert_accessible(page: Page) -> None:
    """Assert that axe finds nothing serious or critical in what the page shows now."""
    grave = await grave_findings(page)

    assert not grave, "\n".join(grave)


def _told(page: Page, violation: dict[str, Any]) -> str:
    nodes = "\n".join(
        f"    {node['html'][:200]}\n      {node['failureSummary'][:400]}"
        for node in violation["nodes"][:5]
    )
    return f"{page.url}: {violation['id']} ({violation['impact']}), {violation['help']}\n{nodes}"
