"""The naive floor of the fan-out bench: Starlette under uvicorn as most tutorials have it, `send`
in a loop over a list of websockets."""

import asyncio
import socket
from multiprocessing.connection import Connection

import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from load_tests.benches.fanout.receiver import ReceiverPlan
from load_tests.benches.fanout.servers import BODY_BYTES, ReceiverProgress, drive, serve, stamped


def naive(
    pipe: Connection, progress_path: str, clients: int, rounds: int, publications: int
) -> None:
    """Starlette, and `send` in a loop over a list of websockets."""
    sockets: list[WebSocket] = []

    async def endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        sockets.append(websocket)
        try:
            await websocket.receive_text()
        except WebSocketDisconnect:
            return

    async def main() -> None:
        progress = ReceiverProgress(progress_path)
        config = uvicorn.Config(
            Starlette(routes=[WebSocketRoute("/ws", endpoint)]),
            log_config=None,
            log_level="error",
            ws_per_message_deflate=False,
            ws_ping_interval=None,
            lifespan="off",
        )
        listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        plan = ReceiverPlan(listener.getsockname()[1], clients, "/ws")

        async def publish() -> int:
            text = stamped(BODY_BYTES).decode()
            progress.sent += (len(text) + 4) * clients
            for websocket in sockets:
                await websocket.send_text(text)
            return len(text) + 4

        await drive(pipe, plan, progress, publish, clients, rounds, publications)
        server.should_exit = server.force_exit = True
        await serving

    serve(main)
