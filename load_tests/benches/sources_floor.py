"""A bare MQTT subscriber: paho as it comes, decoding each message and nothing more.

    python -m load_tests.benches.sources_floor PORT TOPIC

Prints one line when it is subscribed, and the count of messages whenever it grew, at most 20 times
a second.
"""

import sys
import time
from typing import Any

import msgspec
from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

EVERY_S = 0.05


def main() -> None:
    """Count until ended."""
    port, topic = int(sys.argv[1]), sys.argv[2]
    count = 0

    def on_connect(client: Client, *_: Any) -> None:
        client.subscribe(topic, 1)

    def on_subscribe(*_: Any) -> None:
        sys.stdout.write("subscribed\n")
        sys.stdout.flush()

    def on_message(_client: Client, _data: object, message: Any) -> None:
        nonlocal count
        msgspec.json.decode(message.payload)
        count += 1

    client = Client(CallbackAPIVersion.VERSION2, client_id="bench-floor")
    client.on_connect = on_connect
    client.on_subscribe = on_subscribe
    client.on_message = on_message
    client.connect("127.0.0.1", port)
    client.loop_start()
    told = 0
    while True:
        time.sleep(EVERY_S)
        if count != told:
            told = count
            sys.stdout.write(f"{told}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
