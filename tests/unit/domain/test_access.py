"""What an access is limited to, sorted out: our numbers, and everything that is none."""

from __future__ import annotations

import pytest

from os_credits.domain.access import Named, named


@pytest.mark.parametrize(
    "among, expected",
    [
        (set(), Named((), ())),
        ({"#10", "#9", "#100"}, Named((9, 10, 100), ())),
        (
            {"#9", "astro", "", "#x", "# 7", "#-1", "##3"},
            Named((9,), ("", "# 7", "##3", "#-1", "#x", "astro")),
        ),
        # Too long for a number of ours, and digits of other scripts: nobody's.
        ({"#" + "9" * 19, "#\u0661"}, Named((), ("#" + "9" * 19, "#\u0661"))),
        ({"9", "#9\n", "#09"}, Named((), ("#09", "#9\n", "9"))),
    ],
)  # fmt: skip
def test_our_numbers_are_told_from_names(among: set[str], expected: Named) -> None:
    assert named(frozenset(among)) == expected
