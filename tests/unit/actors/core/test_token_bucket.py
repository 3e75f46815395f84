"""The token bucket."""

from actors.core.token_bucket import Bucket


def test_a_bucket_gives_its_burst_at_once_and_then_its_rate() -> None:
    bucket = Bucket(10.0, 5.0, 0.0)
    assert [bucket.draw(0.0) for _ in range(6)] == [True] * 5 + [False]
    assert [bucket.draw(0.1), bucket.draw(0.1)] == [True, False]
    given = sum(bucket.draw(0.2 + step / 100) for step in range(200))
    assert 19 <= given <= 21, "10 a second over two seconds"
    assert sum(bucket.draw(60.0) for _ in range(9)) == 5, "never more than the burst"


def test_it_gives_what_there_is_and_says_when_there_is_more() -> None:
    bucket = Bucket(2.0, 5.0, 10.0)
    assert [bucket.draw(10.0, 3), bucket.draw(10.0, 3), bucket.draw(10.0, 3)] == [3, 2, 0]
    assert bucket.wait_s == 0.5
    assert bucket.draw(9.0, 1) == 0, "a clock that went backwards gives nothing"
    assert bucket.draw(9.5, 1) == 1
