"""Sharing a port: with hubs of the same deployment only."""

import asyncio
import socket
from pathlib import Path

import pytest

from actors.core.errors import StartError
from actors.core.settings import HubSettings
from hub.server.listeners import open_private, open_public, probe
from tests.support.hub.hub import running_hub


async def test_hubs_of_one_deployment_share_a_port_and_others_do_not(tmp_path: Path) -> None:
    async with running_hub(tmp_path) as hub:
        found = await probe("127.0.0.1", hub.port)
        assert found is not None
        assert (found.instance, found.hub) == ("test", "hub-test")
        shared = HubSettings(port=hub.port)
        async with running_hub(
            tmp_path, hub=shared, name="hub-second", memory=hub.memory
        ) as second:
            assert second.port == hub.port
            async with second.dashboard() as dash:
                assert dash.connected["connect"]["node"] in ("hub-test", "hub-second")
        with pytest.raises(StartError, match="another Eyrie"):
            await open_public("127.0.0.1", hub.port, "somebody-else")


async def test_a_port_of_another_program_is_not_shared(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, reuse_port=True)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(StartError, match="another program") as refused:
            await open_public("127.0.0.1", port, "test")
        assert "hub.port" in refused.value.next_step


async def test_addresses_that_cannot_be_listened_on_say_so() -> None:
    with pytest.raises(StartError, match="cannot listen"):
        await open_public("192.0.2.1", 0, "test")
    with open_private() as private:
        assert private.getsockname()[0] == "127.0.0.1"
        assert private.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0
    with socket.socket() as nobody:  # it has the port, and does not listen
        nobody.bind(("127.0.0.1", 0))
        assert await probe("127.0.0.1", nobody.getsockname()[1]) is None
