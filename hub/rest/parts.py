"""Parts of the table of endpoints that stand beside their handlers: counts, alerts, tokens,
personal values. `hub.rest.table` has them all."""

from hub.rest.alerts import endpoints as alert_endpoints
from hub.rest.history.count_table import COUNTS
from hub.rest.people import privacy_endpoints, token_endpoints
from hub.web.openapi import Endpoint

TAGS = {**privacy_endpoints.TAGS, **alert_endpoints.TAGS}
ENDPOINTS: tuple[Endpoint, ...] = (
    *COUNTS,
    *alert_endpoints.ENDPOINTS,
    *token_endpoints.ENDPOINTS,
    *privacy_endpoints.ENDPOINTS,
)
