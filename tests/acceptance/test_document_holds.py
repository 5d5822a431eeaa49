"""Every operation answers as `/openapi.json` says, whatever is asked, with any key or none."""

import asyncio
import os
from pathlib import Path

from os_credits.domain.access import Scope
from tests.acceptance.accounts import BOOK_AT_ONCE, grant, open_account
from tests.acceptance.documented import documented
from tests.acceptance.own_process import own_process
from tests.fuzz.document import Asker

# Of each operation and key; `make fuzz` asks more.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "3"))
SEED = int(os.environ.get("FUZZ_SEED", "1"))


async def test_no_operation_gives_an_undocumented_answer_or_5xx(
    database_url: str, tmp_path: Path
) -> None:
    async with own_process(database_url, tmp_path, **BOOK_AT_ONCE) as (_, service):
        client = await documented(service)
        await open_account(client)
        await grant(client, "alpha", "100")
        keys = {
            "admin": await service.new_key(*Scope),
            "read": await service.new_key(Scope.READ),
            "none": None,
        }

        asker = Asker(service.url, keys, examples=EXAMPLES, number=SEED)
        answers = await asyncio.to_thread(asker.ask_everything)

    assert answers.wrong == {}
    assert {200, 400, 403, 404} <= set(answers.statuses)
