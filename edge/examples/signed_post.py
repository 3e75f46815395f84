"""A device without a socket: posts observations over HTTP and signs them with its own key, without
any token.

eyrie keys device gate-box --camera gate-1      # prints the file of the key, and the setting for
the hubs python -m edge.examples.signed_post http://127.0.0.1:8000 gate-1 device-<keyid>.json
"""

import argparse
import http.client
import json
import secrets
import sys
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from edge.signing import RequestKey, read_key, signed

TIMEOUT_S = 15.0


def post(url: str, camera: str, key: RequestKey, body: bytes) -> tuple[int, str]:
    """Status and body of the answer to one signed post. Raises OSError when the hub cannot be
    reached."""
    parts = urlsplit(f"{url.rstrip('/')}/v1/cameras/{camera}/observations")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(str(parts.hostname), parts.port, timeout=TIMEOUT_S)
    try:
        connection.request("POST", parts.path, body, signed(key, "POST", parts.geturl(), body))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def main() -> int:
    """Post one observation; 0 when it is durable."""
    parser = argparse.ArgumentParser(description="Post one signed observation.")
    parser.add_argument("url")
    parser.add_argument("camera")
    parser.add_argument("key", type=Path)
    chosen = parser.parse_args()
    person = {"id": "1", "label": "person", "score": 0.9, "box": [0.4, 0.4, 0.5, 0.8]}
    observation = {
        "time": datetime.now(UTC).isoformat().replace("+00:00", "Z"),
        "objects": [person],
    }
    body = json.dumps(
        {"session": secrets.token_hex(8), "first_seq": 1, "observations": [observation]}
    ).encode()
    status, text = post(chosen.url, chosen.camera, read_key(chosen.key), body)
    sys.stdout.write(f"{status} {text}\n")
    return 0 if status == 200 else 1


if __name__ == "__main__":
    raise SystemExit(main())
