"""Pages of administration: prices, meters, grants and organisations, as a browser uses them."""

import pytest

from tests.acceptance.conftest import Service

PAGE = {"Accept": "text/html"}


async def page(service: Service, path: str, status: int = 200) -> str:
    async with service.request("GET", path, key="admin", headers=PAGE) as response:
        text = await response.text()
        assert status == response.status, text
        return text


async def test_prices_are_listed(service: Service) -> None:
    assert "<h1>Prices</h1>" in await page(service, "/admin/prices")
    await page(service, "/admin/prices/of/project_vcpu_usage")
    await page(service, "/admin/prices/new")
