"""What a hub remembers of where cameras live."""

from actors.known_places import KnownPlaces
from actors.links.address import LinkAddress


def at(path: str) -> LinkAddress:
    return LinkAddress(node="n1", path=path)


def test_a_camera_is_known_by_its_process_until_that_is_forgotten() -> None:
    places = KnownPlaces()
    assert places.find("gate") is None
    assert places.learn({"gate": "a1", "yard": "a2"}, {"a1": at("/1"), "a2": at("/2")}) == []
    assert places.find("gate") == ("a1", at("/1"))
    places.forget("a1")
    assert places.find("gate") is None
    assert places.find("yard") == ("a2", at("/2"))
    assert "a1" not in places
    assert "a2" in places


def test_a_camera_of_a_process_without_an_address_is_asked_for_again() -> None:
    places = KnownPlaces()
    places.learn({"gate": "a1"}, {})
    assert places.find("gate") is None
    places.learn({"gate": "a1"}, {"a1": at("/1")})
    assert places.find("gate") == ("a1", at("/1"))


def test_cameras_and_processes_are_bounded_and_the_oldest_go_first() -> None:
    places = KnownPlaces(cameras=3, processes=2)
    places.learn({"gate": "a1", "yard": "a2"}, {"a1": at("/1"), "a2": at("/2")})
    places.learn({"gate": "a1"}, {"a1": at("/1")})  # the same again makes it young
    assert places.learn({"hall": "a3"}, {"a3": at("/3")}) == ["a2"]
    assert places.find("yard") is None
    assert places.find("gate") == ("a1", at("/1"))
    places.learn({"dock": "a3"}, {})
    assert places.find("dock") == ("a3", at("/3"))
    for number in range(10):
        places.learn({f"c{number}": "a3"}, {"a3": at("/3")})
    assert places.find("gate") is None
    assert places.find("c9") == ("a3", at("/3"))
