// What is said in a channel, and who is there.
import assert from "node:assert/strict";

import { each, failsWith, heard, once, subscribed, token, unique } from "./rig.mjs";

const VALUES = [{ a: [1, 2.5, null, true] }, "Grüße, 世界 \u0000 \u2028 \n", 17, [], {}, { deep: { deeper: { "": "x" } } }];

each("a publication reaches everybody, its author included, as it was", async (rig) => {
  const [author, reader] = [await rig.connected(), await rig.connected()];
  const channel = unique("talk");
  const lanes = [];
  const subscriptions = [];
  for (const client of [author, reader]) {
    const [subscription] = await subscribed(client, channel);
    subscriptions.push(subscription);
    lanes.push(heard(subscription, "publication"));
  }
  for (const value of VALUES) assert.deepEqual(await subscriptions[0].publish(rig.pack(value)), {});
  for (const lane of lanes) {
    await lane.count(VALUES.length);
    assert.deepEqual(lane.all.map((context) => rig.unpack(context.data)), VALUES);
    assert.deepEqual(lane.all.map((context) => context.offset), VALUES.map((_, n) => n + 1));
    assert.equal(new Set(lane.all.map((context) => context.info.client)).size, 1);
  }
});

each("a channel without history has no offsets", async (rig) => {
  const client = await rig.connected();
  const [subscription, context] = await subscribed(client, unique("bare:talk"));
  assert.deepEqual([context.recoverable, context.positioned, context.streamPosition], [false, false, undefined]);
  const came = once(subscription, "publication");
  await subscription.publish(rig.pack({ n: 1 }));
  assert.ok(!(await came).offset);
  await failsWith(subscription.history({ limit: 1 }), 108);
  await failsWith(subscription.presence(), 108);
  await failsWith(subscription.presenceStats(), 108);
});

each("without a subscription one may publish and ask, where all is open", async (rig) => {
  const client = await rig.connected();
  const channel = unique("open");
  await client.publish(channel, rig.pack({ n: 1 }));
  const page = await client.history(channel, { limit: 10 });
  assert.deepEqual(page.publications.map((found) => rig.unpack(found.data)), [{ n: 1 }]);
  assert.deepEqual(await client.presence(channel), { clients: {} });
  assert.deepEqual(await client.presenceStats(channel), { numClients: 0, numUsers: 0 });
});

each("who is there is told, and counted by users", async (rig) => {
  const channel = unique("room");
  const user = unique("ada");
  const clients = [await rig.connected({ token: token({ sub: user }) }), await rig.connected({ token: token({ sub: user }) }), await rig.connected()];
  const names = [];
  const subscriptions = [];
  for (const client of clients) {
    const [subscription] = await subscribed(client, channel);
    const came = once(subscription, "publication");
    await subscription.publish(rig.pack({}));
    names.push((await came).info.client);
    subscriptions.push(subscription);
  }
  const { clients: present } = await subscriptions[0].presence();
  assert.deepEqual(Object.keys(present).sort(), [...names].sort());
  assert.deepEqual(names.map((name) => [present[name].client, present[name].user]), names.map((name, n) => [name, n < 2 ? user : ""]));
  assert.deepEqual(await subscriptions[0].presenceStats(), { numClients: 3, numUsers: 2 });
  subscriptions[1].unsubscribe();
  let left; // requests of their own, on HTTP, may pass each other
  do left = await clients[1].presenceStats(channel);
  while (left.numClients === 3);
  assert.deepEqual(left, { numClients: 2, numUsers: 2 });
  await failsWith(subscriptions[1].presence(), 7);
  await failsWith(subscriptions[1].presenceStats(), 7);
  await failsWith(subscriptions[1].publish(rig.pack({})), 7);
});

each("joins and leaves are told", async (rig) => {
  const channel = unique("door");
  const user = unique("bob");
  const watcher = await rig.connected();
  const [subscription] = await subscribed(watcher, channel, { joinLeave: true });
  const [joins, leaves] = [heard(subscription, "join"), heard(subscription, "leave")];
  const visitor = rig.client({ token: token({ sub: user }) });
  const connected = once(visitor, "connected");
  visitor.connect();
  const { client: name } = await connected;
  const [visit] = await subscribed(visitor, channel);
  const fits = (context) => context.info.client === name;
  const joined = await joins.find(fits);
  assert.deepEqual([joined.channel, joined.info.user], [channel, user]);
  visit.unsubscribe();
  assert.equal((await leaves.find(fits)).info.user, user);
  visit.subscribe();
  await joins.find(fits, joins.all.findIndex(fits) + 1);
  visitor.disconnect();
  await leaves.find(fits, leaves.all.findIndex(fits) + 1);
});

each("there is no rpc", async (rig) => {
  const client = await rig.connected();
  await failsWith(client.rpc("method", rig.pack({})), 108);
  await failsWith(client.rpc("", rig.pack({})), 108);
  assert.equal(client.state, "connected");
});
