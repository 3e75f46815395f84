"""The supervisor's metrics: the cluster as it sees it. No camera's or node's name is a label."""

from cluster.supervisor.models import ClusterSnapshot
from storage.process.metrics import Metric, families

ABOUT = {
    "nodes": "Nodes that Ray counts among the living.",
    "nodes_silent": "Of them, those whose raylet does not answer.",
    "nodes_cordoned": "Of them, those that get nothing new.",
    "actors": "Actor processes of cameras.",
    "actors_starting": "Of them, those that are not ready yet.",
    "cameras": "Cameras that are wanted, hosted or ordered about.",
    "cameras_hosted": "Of them, those that an actor hosts.",
    "cameras_quarantined": "Of them, those that failed too often or that somebody quarantined.",
    "services_ready": "Hubs and policy replicas that are ready.",
    "services_missing": "Hubs and policy replicas that are not.",
}


def collect(now: ClusterSnapshot) -> list[Metric]:
    """As it is now."""
    gauges = {
        "nodes": len(now.nodes),
        "nodes_silent": sum(not node.alive for node in now.nodes),
        "nodes_cordoned": sum(node.cordoned for node in now.nodes),
        "actors": len(now.actors),
        "actors_starting": sum(actor.phase == "starting" for actor in now.actors),
        "cameras": len(now.cameras),
        "cameras_hosted": sum(camera.phase == "hosted" for camera in now.cameras),
        "cameras_quarantined": sum(camera.quarantined for camera in now.cameras),
        "services_ready": sum(service.state == "ready" for service in now.services),
        "services_missing": sum(service.state != "ready" for service in now.services),
    }
    return families("eyrie_cluster", counters={}, gauges=gauges, about=ABOUT)
