"""Who may do what: keys in every form, scopes, limits, open networks."""

from tests.acceptance.conftest import Service


async def test_the_service_answers(service: Service) -> None:
    async with service.request("GET", "/ping") as response:
        assert response.status == 200
        assert await response.text() == "Pong"
