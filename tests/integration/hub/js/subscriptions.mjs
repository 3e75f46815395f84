// Subscribing and unsubscribing, at every moment.
import assert from "node:assert/strict";

import { api, each, failsWith, heard, inSeconds, once, subscribed, token, unique } from "./rig.mjs";

// Until nobody is there: requests of their own, on HTTP, may pass each other.
async function empty(client, channel) {
  while ((await client.presenceStats(channel)).numClients);
}

each("subscribes and unsubscribes, and says each step", async (rig) => {
  const client = await rig.connected();
  const channel = unique("steps");
  const subscription = client.newSubscription(channel);
  const states = heard(subscription, "state");
  const subscribing = once(subscription, "subscribing");
  const done = once(subscription, "subscribed");
  subscription.subscribe();
  assert.equal((await subscribing).code, 0);
  const context = await done;
  assert.deepEqual([context.channel, context.recoverable, context.positioned], [channel, true, true]);
  assert.deepEqual([context.wasRecovering, context.recovered, context.streamPosition.offset], [false, false, 0]);
  assert.ok(context.streamPosition.epoch);
  const gone = once(subscription, "unsubscribed");
  subscription.unsubscribe();
  assert.equal((await gone).code, 0);
  assert.deepEqual(states.all.map((change) => change.newState), ["subscribing", "subscribed", "unsubscribed"]);
});

each("a subscription made before the connection starts with it", async (rig) => {
  const client = rig.client();
  const subscription = client.newSubscription(unique("before"));
  subscription.subscribe();
  assert.equal(subscription.state, "subscribing");
  client.connect();
  await subscription.ready();
  assert.equal(subscription.state, "subscribed");
});

each("unsubscribing while the answer is under way leaves nothing behind", async (rig) => {
  const client = await rig.connected();
  const channel = unique("undone");
  const subscription = client.newSubscription(channel);
  const done = heard(subscription, "subscribed");
  subscription.subscribe();
  const waited = assert.rejects(subscription.ready());
  subscription.unsubscribe();
  await waited;
  assert.equal(subscription.state, "unsubscribed");
  await client.publish(channel, rig.pack({}));
  assert.equal(done.all.length, 0);
  await empty(client, channel);
  subscription.subscribe();
  await subscription.ready();
});

each("unsubscribing while connecting sends nothing", async (rig) => {
  const client = rig.client();
  client.connect();
  const subscription = client.newSubscription(unique("connecting"));
  subscription.subscribe();
  subscription.unsubscribe();
  await client.ready();
  assert.equal(subscription.state, "unsubscribed");
});

each("whoever changes their mind about a channel ends where they ended", async (rig) => {
  const client = await rig.connected();
  const channel = unique("moody");
  const subscription = client.newSubscription(channel, { minResubscribeDelay: 10 });
  for (let time = 0; time < 20; time += 1) {
    subscription.subscribe();
    subscription.unsubscribe();
  }
  subscription.subscribe();
  await subscription.ready();
  const came = heard(subscription, "publication");
  await subscription.publish(rig.pack(1));
  await came.count(1);
  subscription.unsubscribe();
  await client.publish(channel, rig.pack(2));
  assert.equal(came.all.length, 1);
});

each("forty channels at once, each with its own messages", async (rig) => {
  const client = await rig.connected();
  const prefix = unique("many");
  const made = await Promise.all(Array.from({ length: 40 }, (_, n) => subscribed(client, `${prefix}_${n}`)));
  const came = made.map(([subscription]) => once(subscription, "publication"));
  await Promise.all(made.map(([subscription], n) => subscription.publish(rig.pack({ n }))));
  assert.deepEqual((await Promise.all(came)).map((context) => rig.unpack(context.data).n), Array.from({ length: 40 }, (_, n) => n));
  for (const [subscription] of made) subscription.unsubscribe();
  await empty(client, `${prefix}_39`);
});

each("a removed subscription can be made anew", async (rig) => {
  const client = await rig.connected();
  const channel = unique("removed");
  const [subscription] = await subscribed(client, channel);
  assert.throws(() => client.newSubscription(channel));
  assert.equal(client.getSubscription(channel), subscription);
  client.removeSubscription(subscription);
  assert.equal(client.getSubscription(channel), null);
  await subscribed(client, channel);
  assert.deepEqual(Object.keys(client.subscriptions()), [channel]);
});

each("an unknown namespace ends the subscription for good", async (rig) => {
  const client = await rig.connected();
  const subscription = client.newSubscription("nonsense:channel");
  const gone = once(subscription, "unsubscribed");
  subscription.subscribe();
  const { code, reason } = await gone;
  assert.deepEqual([code, reason], [102, "unknown channel"]);
  await failsWith(client.publish("nonsense:channel", rig.pack({})), 102);
  await failsWith(client.presence("nonsense:channel"), 102);
  await failsWith(client.presenceStats("nonsense:channel"), 102);
  await failsWith(client.history("nonsense:channel", { limit: 1 }), 102);
});

each("a name that is too long is refused", async (rig) => {
  const client = await rig.connected();
  const subscription = client.newSubscription("c".repeat(256));
  const gone = once(subscription, "unsubscribed");
  subscription.subscribe();
  assert.equal((await gone).code, 107);
  await subscribed(client, unique("c").padEnd(255, "c"));
});

each("the server ends a subscription, which stays ended", async (rig) => {
  const user = unique("ada");
  const client = await rig.connected({ token: token({ sub: user, exp: inSeconds(600) }) });
  const channel = unique("ended");
  const [subscription] = await subscribed(client, channel);
  const gone = once(subscription, "unsubscribed");
  await subscription.publish(rig.pack({})); // the server has done with the subscribe
  await api("unsubscribe", { user, channel });
  assert.deepEqual((({ code, reason }) => [code, reason])(await gone), [2000, "server unsubscribe"]);
  assert.equal(client.state, "connected");
  subscription.subscribe();
  await subscription.ready();
});

each("129 subscriptions are one too many", async (rig) => {
  const client = await rig.connected();
  const prefix = unique("limit");
  await Promise.all(Array.from({ length: 128 }, (_, n) => subscribed(client, `${prefix}_${n}`)));
  const beyond = client.newSubscription(`${prefix}_128`);
  const gone = once(beyond, "unsubscribed");
  beyond.subscribe();
  assert.equal((await gone).code, 106);
});
