"""The console's built files, and a clear page where they are not built."""

from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles

FOLDER = Path(__file__).parent / "static"

_NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Eyrie: console not built</title>
<h1>The console is not built</h1>
<p>This hub runs, but the files of its web console are missing. In a checkout, run <code>make console</code> and load this page again;
a released wheel carries them.</p>
<p>Everything else works: the dashboard socket at <code>/connection/websocket</code>, REST under <code>/v1</code>
and <code>/health/ready</code>.</p></html>
"""  # noqa: E501


def routes(folder: Path = FOLDER) -> list[BaseRoute]:
    """Serve `folder` at ``/``, or say that it is not built."""
    if (folder / "index.html").is_file():
        return [Mount("/", StaticFiles(directory=folder, html=True), name="console")]
    return [Route("/", _not_built)]


async def _not_built(_request: Request) -> Response:
    return HTMLResponse(_NOT_BUILT, status_code=503)
