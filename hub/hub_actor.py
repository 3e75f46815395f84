"""A hub in a process of its own: real stores, policy, then `hub.hub.Hub`. No Ray here."""

import hashlib
import logging
import secrets
from pathlib import Path

from actors.core.errors import EyrieError
from actors.core.settings import Settings
from actors.core.task_set import TaskSet
from actors.ports import Directory
from actors.supervision import SupervisorWatch
from hub.access.context import HubContext
from hub.access.grants import Grants
from hub.compat import profile as compatibility
from hub.compat.extension import Compatibility
from hub.compat.plain_channels import PlainChannels
from hub.dashboards.extension import Extension
from hub.hub import Hub, HubStatus
from hub.protocol import channels
from policy.decision.enforcer import Call
from policy.decision.policy_client import PolicyClient
from storage.embedded.data_dir import of
from storage.process.metrics import ProcessMetrics
from storage.redis.broker import RedisBroker
from storage.redis.grants import RedisGrants
from storage.redis.plain_channels import RedisChannels
from storage.redis.rate_limits import RedisBuckets
from storage.redis.sign_ins import RedisSignIns
from storage.stores import Stores, open_broker, open_stores

log = logging.getLogger(__name__)

CONNECTIONS = 4  # to PostgreSQL, at most


class HubActor:
    """Opens everything, serves, and closes in order. `settings_path` names the deployment: hubs of
    one share a port."""

    def __init__(
        self,
        settings: Settings,
        settings_path: str,
        index: int,
        *,
        directory: Directory,
        policy: Call,
        supervision: SupervisorWatch,
    ) -> None:
        self._settings = settings
        self._instance = hashlib.sha256(str(Path(settings_path).resolve()).encode()).hexdigest()[
            :16
        ]
        self._directory = directory
        self._policy = policy
        self._supervision = supervision
        self.name = f"hub-{index}.{secrets.token_hex(3)}"
        self._stores: Stores | None = None
        self._broker: RedisBroker | None = None
        self._enforcing: PolicyClient | None = None
        self._hub: Hub | None = None
        self._channels: RedisChannels | None = None
        self._buckets: RedisBuckets | None = None
        self._grants: RedisGrants | None = None
        self._sign_ins: RedisSignIns | None = None
        self._granted = Grants()
        self._tasks = TaskSet(log)
        self._copy: ProcessMetrics | None = None

    async def open(self) -> HubStatus:
        """Serve. Raises Unavailable, ConfigError, StartError; what was opened until then is closed
        again."""
        try:
            return await self._open()
        except BaseException:
            await self.stop(0.0)
            raise

    async def _open(self) -> HubStatus:
        settings = self._settings
        self._stores = stores = await open_stores(settings, name=self.name, connections=CONNECTIONS)
        self._broker = await open_broker(settings, name=self.name)
        self._enforcing = policy = PolicyClient(self._policy, stores.policy.marks, settings)
        self._buckets = RedisBuckets(settings.redis, name=self.name)
        self._grants = RedisGrants(settings.redis, name=self.name)
        self._granted = Grants(self._grants)
        self._sign_ins = RedisSignIns(settings.redis, name=self.name)
        context = HubContext(
            settings,
            stores,
            await policy.open_verifier(),
            policy.enforcer,
            self._directory,
            self.name,
            buckets=self._buckets,
            grants=self._granted,
            sign_ins=self._sign_ins,
            people=stores.people,
        )
        self._hub = hub = Hub(
            context,
            self._broker,
            instance=self._instance,
            policy_problem=policy.problem,
            policy_behind=lambda: policy.enforcer.behind,
            unsupervised=self._supervision.problem,
            extension=await self._open_extension(),
        )
        policy.follow(hub.revoked, hub.policy_changed)
        await policy.refresh()
        policy.start()
        self._tasks.spawn(self._supervision.run(), "supervisor-watch")
        await hub.start()
        self._copy = ProcessMetrics(of(settings), hub.metrics.collect)
        self._tasks.spawn(self._copy.run(), "process-metrics")
        return hub.status()

    async def _open_extension(self) -> Extension:
        """Plain channels, where the settings name a compatibility profile. Raises ConfigError,
        Unavailable."""
        profile = compatibility.load(self._settings.hub, channels.parser(self._settings.channels))
        if profile is None:
            return Extension()
        self._channels = RedisChannels(self._settings.redis, name=self.name)
        plain = PlainChannels(profile, self._channels)
        await self._channels.open(plain.arrived, plain.lost)
        return Compatibility(plain)

    async def broken(self) -> str:
        """Wait until something of the hub has failed for good; what. Its process is then to be
        replaced."""
        if self._hub is None:
            return "it does not serve"
        await self._hub.node.broken.wait()
        return f"task {self._hub.node.tasks.failed} has failed"

    def status(self) -> HubStatus | None:
        """What it says of itself; None before `open`."""
        return None if self._hub is None else self._hub.status()

    async def stop(self, grace_s: float) -> bool:
        """Drain and close; True when everything ended in order."""
        tidy = True
        if self._hub is not None and self._hub.port:
            await self._hub.stop(grace_s)
        await self._tasks.close()
        if self._copy is not None:
            self._copy.close()
        if self._enforcing is not None:
            await self._enforcing.close()
        await self._granted.close()
        for opened in (
            self._buckets,
            self._grants,
            self._sign_ins,
            self._channels,
            self._broker,
            self._stores,
        ):
            try:
                if opened is not None:
                    await opened.close()
            except EyrieError as error:
                log.warning("hub %s could not close a store: %s", self.name, error)
                tidy = False
        self._sign_ins = None
        self._hub = self._buckets = self._grants = self._enforcing = self._broker = None
        self._stores = None
        return tidy
