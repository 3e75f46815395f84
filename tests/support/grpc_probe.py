"""A gRPC call without credentials, over bare HTTP/2: what a stranger on the network can send to a
port."""

import socket
import struct

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)

WITHIN_S = 5.0
OK, UNIMPLEMENTED, UNAUTHENTICATED = "0", "12", "16"  # gRPC status codes


def call(host: str, port: int, method: str, headers: tuple[tuple[str, str], ...] = ()) -> str:
    """The gRPC status that `method` (``/package.Service/Method``, an empty request) is answered
    with; ``none`` when it is none."""
    connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.initiate_connection()
    with socket.create_connection((host, port), timeout=WITHIN_S) as link:
        asked = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", method),
            (":authority", f"{host}:{port}"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            *headers,
        ]
        connection.send_headers(1, asked)
        connection.send_data(1, struct.pack(">BI", 0, 0), end_stream=True)
        link.sendall(connection.data_to_send())
        try:
            while data := link.recv(65_536):
                for event in connection.receive_data(data):
                    if isinstance(event, ResponseReceived | TrailersReceived):
                        for name, value in event.headers or ():
                            if str(name) == "grpc-status":
                                return str(value)
                    elif isinstance(event, StreamEnded | StreamReset | ConnectionTerminated):
                        return "none"
                    elif isinstance(event, DataReceived):
                        connection.acknowledge_received_data(event.flow_controlled_length, 1)
                link.sendall(connection.data_to_send())
        except (OSError, TimeoutError):
            return "none"
    return "none"
