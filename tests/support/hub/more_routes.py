"""What tests of all routes say to those parts that have a file of their own here."""

from tests.support.hub import alert_routes, privacy_routes

NAMES = privacy_routes.NAMES | alert_routes.NAMES
BODIES = privacy_routes.BODIES | alert_routes.BODIES
REST = privacy_routes.REST | alert_routes.REST
MATRIX = privacy_routes.MATRIX.rstrip() + alert_routes.MATRIX
