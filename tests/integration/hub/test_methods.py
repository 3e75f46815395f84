"""A method that a path does not take is 405 with Allow, on every path of the document; nothing
there is 404."""

import re
from pathlib import Path

import httpx

from hub.rest.table import ENDPOINTS
from tests.support.hub.hub import running_hub

KNOWN = {"camera": "gate", "site": "north", "letter": "1", "revision": "0" * 64}
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


async def test_wrong_methods_are_refused_with_those_that_are_taken(tmp_path: Path) -> None:
    taken: dict[str, set[str]] = {}
    for endpoint in ENDPOINTS:
        taken.setdefault(endpoint.path, set()).add(endpoint.method)
    async with running_hub(tmp_path) as hub:
        headers = {"authorization": f"Bearer {hub.token()}"}
        async with httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{hub.port}", timeout=30, headers=headers
        ) as http:
            for path, methods in taken.items():
                address = re.sub(r"\{(\w+)\}", lambda found: KNOWN.get(found[1], "x"), path)
                for method in METHODS:
                    if method not in methods:
                        answer = await http.request(method, address)
                        assert answer.status_code == 405, (method, address, answer.text)
                        assert set(answer.headers["allow"].split(", ")) - {"HEAD"} == methods, (
                            address
                        )
            assert (await http.get("/v1/nothing")).status_code == 404
            assert (await http.delete("/v1/nothing")).status_code == 404
