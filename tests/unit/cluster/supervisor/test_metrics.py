"""The supervisor's metrics count what its snapshot holds."""

from cluster.supervisor.metrics import ABOUT, collect
from cluster.supervisor.models import (
    ActorState,
    CameraState,
    ClusterSnapshot,
    NodeState,
    ServiceState,
)
from storage.ports.cluster import WantedShape


def node(id: str, **changed: bool) -> NodeState:
    told = {"alive": True, "draining": False, "head": False, "cordoned": False, **changed}
    return NodeState(
        id=id,
        address="10.0.0.1",
        cores=2.0,
        memory_bytes=1,
        slots=4,
        reason="",
        actors=1,
        cameras=1,
        services=(),
        **told,
    )


def test_what_is_there_is_counted() -> None:
    now = ClusterSnapshot(
        nodes=(node("a"), node("b", alive=False), node("c", cordoned=True)),
        actors=(
            ActorState("x", "a", 1, "ready", ("one",), 1, "", 1.0),
            ActorState("y", "a", 2, "starting", (), 1, "", 1.0),
        ),
        services=(
            ServiceState("hub-0", "hub", 0, "ready"),
            ServiceState("policy-0", "policy", 0, "starting"),
        ),
        cameras=(
            CameraState("one", "s", "x", "a", "hosted"),
            CameraState("two", "s", "", "", "quarantined", quarantined=True),
        ),
        wanted=WantedShape(),
        version=0,
    )
    found = {family.name: family.samples[0].value for family in collect(now)}
    assert found == {
        "eyrie_cluster_nodes": 3,
        "eyrie_cluster_nodes_silent": 1,
        "eyrie_cluster_nodes_cordoned": 1,
        "eyrie_cluster_actors": 2,
        "eyrie_cluster_actors_starting": 1,
        "eyrie_cluster_cameras": 2,
        "eyrie_cluster_cameras_hosted": 1,
        "eyrie_cluster_cameras_quarantined": 1,
        "eyrie_cluster_services_ready": 1,
        "eyrie_cluster_services_missing": 1,
    }
    assert len(found) == len(ABOUT)
