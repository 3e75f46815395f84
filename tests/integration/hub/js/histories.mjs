// Positions, history and recovery.
import assert from "node:assert/strict";

import { each, failsWith, heard, once, subscribed, unique } from "./rig.mjs";

async function tell(rig, client, channel, from, to) {
  for (let n = from; n <= to; n += 1) await client.publish(channel, rig.pack({ n }));
}
const numbers = (rig, publications) => publications.map((found) => rig.unpack(found.data).n);

each("history by limit, position and direction", async (rig) => {
  const client = await rig.connected();
  const channel = unique("pages");
  await tell(rig, client, channel, 1, 5);
  const top = await client.history(channel);
  assert.deepEqual([top.publications.length, top.offset], [0, 5]);
  const all = await client.history(channel, { limit: -1 });
  assert.deepEqual([numbers(rig, all.publications), all.offset, all.epoch], [[1, 2, 3, 4, 5], 5, top.epoch]);
  assert.deepEqual(all.publications.map((found) => found.offset), [1, 2, 3, 4, 5]);
  assert.ok(all.publications.every((found) => found.info.client));
  const page = async (options) => numbers(rig, (await client.history(channel, options)).publications);
  assert.deepEqual(await page({ limit: 2 }), [1, 2]);
  assert.deepEqual(await page({ limit: 2, reverse: true }), [5, 4]);
  assert.deepEqual(await page({ limit: 2, since: { offset: 2, epoch: top.epoch } }), [3, 4]);
  assert.deepEqual(await page({ limit: 2, since: { offset: 3, epoch: top.epoch }, reverse: true }), [2, 1]);
  assert.deepEqual(await page({ limit: 10, since: { offset: 5, epoch: top.epoch } }), []);
  await failsWith(client.history(channel, { limit: 1, since: { offset: 1, epoch: "another" } }), 112);
});

each("what was missed is recovered, each once and in order", async (rig) => {
  const [reader, author] = [await rig.connected(), await rig.connected()];
  const channel = unique("missed");
  const [subscription, first] = await subscribed(reader, channel);
  const came = heard(subscription, "publication");
  await tell(rig, author, channel, 1, 3);
  await came.count(3);
  reader.disconnect();
  await tell(rig, author, channel, 4, 13);
  const again = once(subscription, "subscribed");
  reader.connect();
  const context = await again;
  assert.deepEqual([context.wasRecovering, context.recovered, context.hasRecoveredPublications], [true, true, true]);
  assert.equal(context.streamPosition.epoch, first.streamPosition.epoch);
  await came.count(13);
  await tell(rig, author, channel, 14, 14);
  await came.count(14);
  assert.deepEqual(numbers(rig, came.all), Array.from({ length: 14 }, (_, n) => n + 1));
  assert.deepEqual(came.all.map((found) => found.offset), Array.from({ length: 14 }, (_, n) => n + 1));
});

each("nothing missed is recovered as well", async (rig) => {
  const client = await rig.connected();
  const [subscription] = await subscribed(client, unique("quiet"));
  client.disconnect();
  const again = once(subscription, "subscribed");
  client.connect();
  const context = await again;
  assert.deepEqual([context.wasRecovering, context.recovered, context.hasRecoveredPublications], [true, true, false]);
});

each("more missed than is kept is no recovery, and says so", async (rig) => {
  const [reader, author] = [await rig.connected(), await rig.connected()];
  const channel = unique("smallhistory:lost");
  const [subscription] = await subscribed(reader, channel);
  reader.disconnect();
  await tell(rig, author, channel, 1, 5);
  const came = heard(subscription, "publication");
  const again = once(subscription, "subscribed");
  reader.connect();
  const context = await again;
  assert.deepEqual([context.wasRecovering, context.recovered, context.streamPosition.offset], [true, false, 5]);
  await tell(rig, author, channel, 6, 6);
  assert.equal((await came.find()).offset, 6);
});

each("a position of another time starts a subscription", async (rig) => {
  const client = await rig.connected();
  const channel = unique("since");
  await tell(rig, client, channel, 1, 3);
  const { epoch } = await client.history(channel);
  const subscription = client.newSubscription(channel, { since: { offset: 1, epoch } });
  const came = heard(subscription, "publication");
  const done = once(subscription, "subscribed");
  subscription.subscribe();
  assert.equal((await done).recovered, true);
  await came.count(2);
  assert.deepEqual(numbers(rig, came.all), [2, 3]);
  const other = await rig.connected();
  const [, context] = await subscribed(other, channel, { since: { offset: 1, epoch: "another" } });
  assert.deepEqual([context.wasRecovering, context.recovered, context.streamPosition.offset], [true, false, 3]);
  const ahead = await rig.connected();
  const [, beyond] = await subscribed(ahead, channel, { since: { offset: 9, epoch } });
  assert.deepEqual([beyond.wasRecovering, beyond.recovered], [true, false]);
});

each("whoever loads its state elsewhere is asked again when a position is lost", async (rig) => {
  const [reader, author] = [await rig.connected(), await rig.connected()];
  const channel = unique("smallhistory:state");
  let loads = 0;
  const getState = async () => {
    loads += 1;
    const { offset, epoch } = await author.history(channel);
    return { offset, epoch };
  };
  const [subscription] = await subscribed(reader, channel, { getState, recoverable: true });
  assert.equal(loads, 1);
  reader.disconnect();
  await tell(rig, author, channel, 1, 1);
  let again = once(subscription, "subscribed");
  reader.connect();
  assert.equal((await again).recovered, true);
  assert.equal(loads, 1);
  reader.disconnect();
  await tell(rig, author, channel, 2, 6);
  again = once(subscription, "subscribed");
  reader.connect();
  await again;
  assert.equal(loads, 2);
});
