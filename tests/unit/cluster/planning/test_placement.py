"""Where something new goes, and what a rebalance moves."""

from cluster.planning.placement import NodeLoad, NodeView, Placed, choose, rebalance, usable

TWO = [NodeView("a", cores=4, slots=100), NodeView("b", cores=4, slots=100)]


def test_the_emptier_node_is_chosen_and_says_why() -> None:
    choice = choose(TWO, {"a": NodeLoad(cameras=10), "b": NodeLoad(cameras=5)})
    assert choice is not None
    assert choice.node == "b"
    assert "2 nodes" in choice.why


def test_a_site_is_spread() -> None:
    loads = {"a": NodeLoad(cameras=10, of_site=10), "b": NodeLoad(cameras=12)}
    choice = choose(TWO, loads)
    assert choice is not None
    assert choice.node == "b"


def test_full_nodes_get_nothing_and_services_are_not_cameras() -> None:
    loads = {"a": NodeLoad(cameras=100, services=0), "b": NodeLoad(cameras=100, services=3)}
    assert choose(TWO, loads) is None
    hub = choose(TWO, loads, services=True)
    assert hub is not None
    assert hub.node == "a"


def test_cordoned_draining_and_silent_nodes_are_not_used() -> None:
    nodes = [NodeView("a"), NodeView("b", draining=True), NodeView("c", alive=False), NodeView("d")]
    assert [node.id for node in usable(nodes, {"d"})] == ["a"]


def test_a_rebalance_ends_even_and_moves_few() -> None:
    cameras = [Placed(f"c{n}", "a", 1000.0) for n in range(12)]
    moves = rebalance(TWO, cameras, most=100, residence_s=60.0)
    assert len(moves) == 6
    assert set(moves.values()) == {"b"}
    after = [Placed(p.camera, moves.get(p.camera, p.node), 1000.0) for p in cameras]
    assert rebalance(TWO, after, most=100, residence_s=60.0) == {}
    assert len(rebalance(TWO, cameras, most=2, residence_s=60.0)) == 2
    assert (
        rebalance(TWO, [Placed(p.camera, p.node, 5.0) for p in cameras], most=9, residence_s=60.0)
        == {}
    )


def test_cores_count() -> None:
    nodes = [NodeView("small", cores=1), NodeView("large", cores=3)]
    cameras = [Placed(f"c{n}", "small", 1000.0) for n in range(8)]
    assert len(rebalance(nodes, cameras, most=100, residence_s=0.0)) in (5, 6)
