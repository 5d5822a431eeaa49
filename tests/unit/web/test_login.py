"""Where somebody goes on to after logging in."""

import pytest

from os_credits.web.login import local_path


@pytest.mark.parametrize(
    "text",
    [
        "/",
        "/bill",
        "/credits_history/%23 1".replace(" ", "%20"),
        "/credits_history/alpha?site=here&range=7d",
        "/?q=https://evil.example/",
        "/me#mails",
    ],
)
def test_a_path_of_ours_is_gone_on_to(text: str) -> None:
    assert local_path(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "bill",
        "//evil.example",
        "///evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "https://evil.example/",
        "javascript:alert(1)",
        "/a b",
        "/a\r\nSet-Cookie: x=y",
        "/a\tb",
        "/ä",
        "/\u2028",
        "/login",
        "/login?next=/login",
        "/logout",
        "/" + "x" * 2000,
    ],
)
def test_anything_else_leads_to_the_start(text: str) -> None:
    assert local_path(text) == "/"
