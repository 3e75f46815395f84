"""`storage.redis.pipeline`: a server that says too much, too little or goes is met before or with a
batch and never gives one batch the replies of another; logins and TLS are redis-py's addresses."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
import pytest

from actors.core.errors import Unavailable, UnknownOutcome
from actors.core.settings import RedisSettings
from storage.redis.connection import RedisLink
from tests.support.certificates import authority
from tests.support.servers.store_servers import redis
from tests.support.waiting import until

INFO = b"$12\r\nrun_id:abc\r\n\r\n"


class Scripted:
    """A server that knows INFO and names, and answers everything else by `answer`."""

    def __init__(self, answer: Callable[["Scripted", bytes], bytes]) -> None:
        self._answer = answer
        self.asked: list[bytes] = []
        self.writers: list[asyncio.StreamWriter] = []
        self.ended = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writers.append(writer)
        try:
            await self._serve(reader, writer)
        except ConnectionError:  # the other side ended it
            pass
        finally:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
            self.ended += 1

    async def end(self, server: asyncio.Server) -> None:
        server.close()
        for writer in self.writers:
            writer.close()
        await until(lambda: self.ended == len(self.writers), what="the end of every connection")
        await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            if b"SETNAME" in data or b"AUTH" in data or b"SELECT" in data:
                writer.write(b"+OK\r\n")
            elif b"INFO" in data:
                writer.write(INFO)
            else:
                self.asked.append(data)
                writer.write(self._answer(self, data))


@asynccontextmanager
async def scripted(
    folder: Path, answer: Callable[[Scripted, bytes], bytes]
) -> AsyncIterator[tuple[Scripted, RedisLink]]:
    script = Scripted(answer)
    path = folder / "s"
    server = await asyncio.start_unix_server(script.serve, str(path))
    link = RedisLink(RedisSettings(url=f"unix://{path}", timeout_s=0.3), name="test")
    try:
        yield script, link
    finally:
        await link.close()
        await script.end(server)


async def ask(link: RedisLink, word: str, *, writing: bool = False) -> list[object]:
    return await link.call([("GET", word)], writing=writing)


def echo(_: Scripted, data: bytes) -> bytes:
    """What was asked for last, as a reply."""
    word = data.split(b"\r\n")[-2]
    return b"$%d\r\n%s\r\n" % (len(word), word)


async def test_a_reply_that_nobody_asked_for_is_given_to_no_batch(tmp_path: Path) -> None:
    async with scripted(tmp_path, echo) as (script, link):
        assert await ask(link, "one") == [b"one"]
        script.writers[-1].write(b"$4\r\nlate\r\n")
        await until(lambda: script.writers[-1].is_closing(), what="the end of that connection")
        assert await ask(link, "two") == [b"two"]
        assert len(script.writers) == 2


async def test_more_replies_than_commands_end_the_connection(tmp_path: Path) -> None:
    def twice(script: Scripted, data: bytes) -> bytes:
        return echo(script, data) * (2 if len(script.asked) == 1 else 1)

    async with scripted(tmp_path, twice) as (_, link):
        with pytest.raises(UnknownOutcome):
            await ask(link, "one", writing=True)
        assert await ask(link, "two") == [b"two"]


async def test_a_batch_that_comes_too_late_is_not_that_of_the_next(tmp_path: Path) -> None:
    def silent_once(script: Scripted, data: bytes) -> bytes:
        return b"" if len(script.asked) == 1 else echo(script, data)

    async with scripted(tmp_path, silent_once) as (script, link):
        with pytest.raises(Unavailable, match=r"0\.3 s"):
            await ask(link, "one")
        assert await ask(link, "two") == [b"two"]
        assert len(script.writers) == 2


async def test_a_caller_that_is_cancelled_takes_its_reply_along(tmp_path: Path) -> None:
    def silent_once(script: Scripted, data: bytes) -> bytes:
        return b"" if len(script.asked) == 1 else echo(script, data)

    async with scripted(tmp_path, silent_once) as (script, link):
        asking = asyncio.create_task(ask(link, "one"))
        await until(lambda: len(script.asked) == 1, what="the question")
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        script.writers[0].write(b"$3\r\none\r\n")
        assert await ask(link, "two") == [b"two"]


async def test_a_connection_that_ended_meanwhile_is_made_anew_before_anything_is_sent(
    tmp_path: Path,
) -> None:
    async with scripted(tmp_path, echo) as (script, link):
        await ask(link, "one")
        script.writers[-1].close()
        await until(lambda: script.ended == 1, what="the end of that connection")
        assert await ask(link, "two", writing=True) == [b"two"]
        assert script.asked == [script.asked[0], script.asked[1]], "each was sent once"


async def test_replies_come_in_any_pieces(tmp_path: Path) -> None:
    body = b"$5\r\nhello\r\n:7\r\n*2\r\n$1\r\na\r\n-ERR no\r\n-ERR not this\r\n"

    def in_pieces(script: Scripted, data: bytes) -> bytes:
        writer = script.writers[-1]
        loop = asyncio.get_running_loop()
        for number in range(len(body)):
            loop.call_later(number * 0.001, writer.write, body[number : number + 1])
        return b""

    async with scripted(tmp_path, in_pieces) as (_, link):
        replies = await link.call([("A",), ("B",), ("C",), ("D",)], writing=False)
    assert replies[:2] == [b"hello", 7]
    assert [str(replies[2][1]), str(replies[3])] == ["no", "not this"]


async def test_of_calls_at_once_each_gets_its_own(tmp_path: Path) -> None:
    async with scripted(tmp_path, echo) as (_, link):
        words = [f"w{number}" for number in range(200)]
        assert await asyncio.gather(*(ask(link, word) for word in words)) == [
            [word.encode()] for word in words
        ]


@pytest.fixture
def real() -> Iterator[str]:
    with redis() as (_, url):
        yield url


async def test_a_password_and_a_database_are_used(real: str, tmp_path: Path) -> None:
    operator = RedisLink(RedisSettings(url=real), name="operator")
    await operator.call([("SET", "of", "zero")], writing=True)
    await operator.call([("CONFIG", "SET", "requirepass", "secret")], writing=True)
    (tmp_path / "password").write_text("secret\n")
    settings = RedisSettings(url=f"{real}?db=3", password_file=str(tmp_path / "password"))
    link = RedisLink(settings, name="test")
    assert await ask(link, "of") == [None]
    assert (await link.call([("CLIENT", "GETNAME")], writing=False)) == [b"test"]
    again = RedisLink(msgspec.structs.replace(settings, url=real), name="test")
    assert await ask(again, "of") == [b"zero"]
    for one in (operator, link, again):
        await one.close()


async def test_tls_is_checked(tmp_path: Path) -> None:
    made = authority(tmp_path / "good")
    other = authority(tmp_path / "other")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made.file("server.pem"), made.file("server.key"))
    script = Scripted(echo)
    server = await asyncio.start_server(script.serve, "127.0.0.1", 0, ssl=context)
    port = server.sockets[0].getsockname()[1]
    try:
        for trusted, reached in ((made, True), (other, False)):
            url = f"rediss://localhost:{port}?ssl_ca_certs={trusted.file('ca.pem')}"
            link = RedisLink(RedisSettings(url=url, timeout_s=2.0), name="test")
            if reached:
                assert await ask(link, "one") == [b"one"]
            else:
                with pytest.raises(Unavailable, match="certificate"):
                    await link.open()
            await link.close()
    finally:
        await script.end(server)
