"""What no page may hold, whatever its texts are: something that runs, or leads elsewhere."""

from playwright.async_api import Page

# Addresses of other hosts are none of ours, and no page of ours holds another page.
_LOOK = """
() => {
  const hits = [];
  const addresses = ["action", "background", "data", "formaction", "href", "hx-get", "hx-post",
    "manifest", "ping", "poster", "src", "srcdoc", "srcset", "xlink:href"];
  const leadsElsewhere = (value) => {
    const url = URL.parse(value, document.baseURI);
    return !url || (url.protocol !== "mailto:" && url.origin !== location.origin);
  };
  for (const element of document.querySelectorAll("*")) {
    const tag = element.localName;
    if (["applet", "base", "embed", "frame", "iframe", "object"].includes(tag)) hits.push(tag);
    if (tag === "script" && !element.src && element.type !== "application/json")
      hits.push(`script: ${element.textContent.slice(0, 80)}`);
    if (tag === "meta" && element.httpEquiv) hits.push(`meta ${element.httpEquiv}`);
    for (const { name, value } of element.attributes) {
      if (/^(hx-)?on/.test(name)) hits.push(`${tag} ${name}`);
      if (addresses.includes(name) && leadsElsewhere(value)) hits.push(`${tag} ${name}: ${value}`);
    }
  }
  if (["owned", "1"].includes(document.title)) hits.push(`title: ${document.title}`);
  return hits;
}
"""


_WORDS = """
() => document.title + document.body.textContent
  + [...document.querySelectorAll("input, textarea")].map((one) => one.value).join(" ")
"""
_LINKS = """
() => [...document.querySelectorAll("a[href]:not([download])")]
  .map((one) => one.getAttribute("href")).filter((one) => !/^(\\w+:|#)|\\/api\\//.test(one))
  .map((one) => new URL(one, location)).map((one) => one.pathname + one.search)
"""


async def words_of(page: Page) -> str:
    """Give all that a page says: its title, its text, and what stands in its fields."""
    return str(await page.evaluate(_WORDS))


async def links_of(page: Page) -> list[str]:
    """Give the paths of the pages to which a page leads."""
    return [str(path) for path in await page.evaluate(_LINKS)]


async def acting_parts(page: Page) -> list[str]:
    """Tell what of a page could act; what did act is found by the watch over its browser."""
    return [f"{page.url}: {hit}" for hit in await page.evaluate(_LOOK)]
