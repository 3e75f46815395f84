// Connecting, going, being sent away, coming back.
import assert from "node:assert/strict";

import { api, each, failsWith, heard, inSeconds, once, subscribed, token, unique } from "./rig.mjs";

each("connects and disconnects, and says each step", async (rig) => {
  const client = rig.client();
  const states = heard(client, "state");
  const connecting = once(client, "connecting");
  const connected = once(client, "connected");
  client.connect();
  assert.equal((await connecting).code, 0);
  const context = await connected;
  assert.match(context.client, /^\S{8,}$/);
  assert.equal(context.transport, rig.way.transport);
  const gone = once(client, "disconnected");
  client.disconnect();
  assert.deepEqual([(await gone).code, client.state], [0, "disconnected"]);
  assert.deepEqual(states.all.map((change) => change.newState), ["connecting", "connected", "disconnected"]);
});

each("a new connection has a new name", async (rig) => {
  const client = rig.client();
  const connected = heard(client, "connected");
  for (const lives of [1, 2, 3]) {
    client.connect();
    await connected.count(lives);
    client.disconnect();
  }
  assert.equal(new Set(connected.all.map((context) => context.client)).size, 3);
});

each("whoever changes their mind quickly ends where they ended", async (rig) => {
  const client = rig.client();
  for (let time = 0; time < 20; time += 1) {
    client.connect();
    client.disconnect();
  }
  assert.equal(client.state, "disconnected");
  await failsWith(client.ready(), 3);
  client.connect();
  await client.ready();
  assert.equal(client.state, "connected");
});

each("what is asked before there is a connection waits for it", async (rig) => {
  const client = rig.client();
  const channel = unique("early");
  client.connect();
  await client.publish(channel, rig.pack({ early: true }));
  assert.equal((await client.history(channel, { limit: 10 })).publications.length, 1);
});

each("the server sends a user elsewhere, who comes back with all subscriptions", async (rig) => {
  const user = unique("ada");
  const client = await rig.connected({ token: token({ sub: user, exp: inSeconds(600) }) });
  const [subscription] = await subscribed(client, unique("elsewhere"));
  const connecting = once(client, "connecting");
  const again = once(client, "connected");
  const back = once(subscription, "subscribed");
  const interrupted = once(subscription, "subscribing");
  await api("disconnect", { user, disconnect: { code: 3011, reason: "force reconnect" } });
  const said = await connecting;
  assert.deepEqual([said.code, said.reason], [3011, "force reconnect"]);
  assert.equal((await interrupted).code, 1);
  await again;
  assert.equal((await back).wasRecovering, true);
});

each("the server sends a user away, who stays away", async (rig) => {
  const user = unique("eve");
  const client = await rig.connected({ token: token({ sub: user }) });
  const [subscription] = await subscribed(client, unique("away"));
  const gone = once(client, "disconnected");
  await api("disconnect", { user });
  assert.equal((await gone).code, 3503);
  assert.deepEqual([client.state, subscription.state], ["disconnected", "subscribing"]);
});

each("commands of a connection that ends are refused", async (rig) => {
  const client = await rig.connected();
  const asked = client.rpc("never", rig.pack({}));
  await new Promise(setImmediate);
  client.disconnect();
  await assert.rejects(asked);
});

each("data and headers at the connect are taken", async (rig) => {
  let asked = 0;
  const getData = async () => rig.pack({ time: (asked += 1) });
  const client = await rig.connected({ data: rig.pack({ a: 1 }), getData, headers: { "X-Custom": "x" }, name: "wall", version: "1.2.3" });
  assert.equal(asked, 1);
  client.disconnect();
  client.setData(rig.pack({ a: 2 }));
  client.connect();
  await client.ready();
});

each("where the first transport leads nowhere, the next is taken", async (rig) => {
  const nowhere = { transport: "websocket", endpoint: rig.endpoint("websocket") + "/nowhere" };
  const list = rig.way.transport === "websocket" ? [{ transport: "websocket", endpoint: rig.endpoint() }] : rig.endpoint();
  const client = rig.client({}, [nowhere, ...list]);
  const connected = once(client, "connected");
  client.connect();
  assert.equal((await connected).transport, rig.way.transport);
  const [subscription] = await subscribed(client, unique("fallback"));
  const heardOf = once(subscription, "publication");
  await subscription.publish(rig.pack("here"));
  assert.equal(rig.unpack((await heardOf).data), "here");
}, { fits: (way) => way.transport !== "websocket" });
