"""What tests of all routes say to those of personal values."""

from typing import Any

WHERE = {"cameras": ["gate"], "from": "2026-01-01T00:00:00Z", "to": "2026-01-02T00:00:00Z"}
PRIVACY = {**WHERE, "purpose": "a test"}
NAMES = {"request": "0" * 32, "hold": "0" * 32}
BODIES: dict[str, Any] = {
    "searchPrivacy": {**PRIVACY, "values": ["somebody"]},
    "askPrivacy": {**PRIVACY, "kind": "erasure"},
    "bundlePrivacy": {"purpose": "a test"},
    "placeHold": {**WHERE, "reason": "a case", "ends": "2030-01-01T00:00:00Z"},
}
# (method, path) → what policy is asked.
ACTIONS = {
    ("POST", "/v1/privacy/search"): "privacy.request",
    ("GET", "/v1/privacy/requests"): "privacy.read",
    ("POST", "/v1/privacy/requests"): "privacy.request",
    ("GET", "/v1/privacy/requests/{request}"): "privacy.read",
    ("POST", "/v1/privacy/requests/{request}/approve"): "privacy.approve",
    ("POST", "/v1/privacy/requests/{request}/withdraw"): "privacy.request",
    ("POST", "/v1/privacy/requests/{request}/bundle"): "privacy.request",
    ("GET", "/v1/privacy/record"): "privacy.read",
    ("GET", "/v1/privacy/holds"): "privacy.read",
    ("POST", "/v1/privacy/holds"): "privacy.hold",
    ("DELETE", "/v1/privacy/holds/{hold}"): "privacy.hold",
}
# For the matrix of roles: what is asked, by whom it may be, and a request that changes nothing.
MATRIX = """
privacy.read         deployment  privacy
privacy.hold         deployment  privacy
privacy.approve      deployment  privacy
privacy.request      deployment  privacy
"""
KINDS: dict[str, Any] = {"audit": "audit", "privacy": "privacy"}
REST: dict[str, tuple[str, str, Any, int]] = {
    "privacy.read": ("GET", "/v1/privacy/requests", None, 200),
    "privacy.hold": ("DELETE", f"/v1/privacy/holds/{'0' * 32}", None, 404),
    "privacy.approve": ("POST", f"/v1/privacy/requests/{'0' * 32}/approve", {}, 404),
    "privacy.request": ("POST", f"/v1/privacy/requests/{'0' * 32}/withdraw", {}, 404),
}
