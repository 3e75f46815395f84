// Frames: batches, sizes, pings, and connections that break under the client.
import assert from "node:assert/strict";
import events from "node:events";

import { WebSocket } from "ws";

import { BRISK, each, heard, once, subscribed, unique } from "./rig.mjs";

const websocket = (way) => way.transport === "websocket";

// A WebSocket that remembers what it sent and received, and can be cut.
function watched() {
  const log = { sent: [], received: [], sockets: [] };
  class Watched extends WebSocket {
    constructor(...words) {
      super(...words);
      log.sockets.push(this);
      this.on("message", (data) => log.received.push(data));
    }
    send(data, ...words) {
      log.sent.push(data);
      super.send(data, ...words);
    }
  }
  return { log, Watched };
}

each("commands of a batch go together and are all answered", async (rig) => {
  const { log, Watched } = watched();
  const client = await rig.connected(websocket(rig.way) ? { websocket: Watched } : {});
  const channel = unique("batch");
  const before = log.sent.length;
  client.startBatching();
  const asked = Array.from({ length: 50 }, (_, n) => client.publish(channel, rig.pack({ n })));
  const subscription = client.newSubscription(channel);
  client.stopBatching();
  await Promise.all(asked);
  if (websocket(rig.way)) assert.equal(log.sent.length - before, 1);
  assert.equal((await client.history(channel)).offset, 50);
  const page = await client.history(channel, { limit: 50 });
  assert.deepEqual(page.publications.map((found) => rig.unpack(found.data).n), Array.from({ length: 50 }, (_, n) => n));
  subscription.subscribe();
  await subscription.ready();
});

each("large messages pass", async (rig) => {
  const client = await rig.connected();
  const [subscription] = await subscribed(client, unique("large"));
  const came = once(subscription, "publication");
  const text = "x".repeat(60_000);
  await subscription.publish(rig.pack({ text }));
  assert.equal(rig.unpack((await came).data).text, text);
});

each("a message that is too large ends the connection for good", async (rig) => {
  const client = await rig.connected();
  const gone = once(client, "disconnected");
  client.publish(unique("huge"), rig.pack({ text: "x".repeat(70_000) })).catch(() => undefined);
  assert.equal((await gone).code, 3);
}, { fits: websocket });

each("pings come and are answered", async (rig) => {
  const { log, Watched } = watched();
  const client = rig.client({ websocket: Watched });
  client.connect();
  await client.ready();
  const empty = (data) => (rig.way.binary ? data.byteLength === 1 : data.toString() === "{}");
  for (let pings = 0; pings < 2;) {
    const socket = log.sockets.at(-1); // a new one where this process was too slow to answer
    const [data] = await events.once(socket, "message");
    pings += empty(data);
  }
  assert.ok(log.sent.filter(empty).length >= 1);
}, { fits: websocket, url: BRISK });

each("a connection that breaks is made anew, and nothing is missed", async (rig) => {
  const { log, Watched } = watched();
  const [client, author] = [await rig.connected({ websocket: Watched }), await rig.connected()];
  const channel = unique("cut");
  const [subscription] = await subscribed(client, channel);
  const came = heard(subscription, "publication");
  for (let n = 1; n <= 5; n += 1) {
    const again = once(subscription, "subscribed");
    const connecting = once(client, "connecting");
    log.sockets.at(-1).terminate();
    await author.publish(channel, rig.pack({ n }));
    assert.equal((await connecting).code, 1);
    assert.equal((await again).recovered, true);
  }
  await came.count(5);
  assert.deepEqual(came.all.map((context) => rig.unpack(context.data).n), [1, 2, 3, 4, 5]);
}, { fits: websocket });

each("a protobuf client may say what is not JSON, which ends clients of JSON there", async (rig) => {
  const channel = unique("bytes");
  const bytes = Uint8Array.from([0, 255, 10, 13, 128]);
  const [author, reader] = [await rig.connected(), await rig.connected()];
  const [subscription] = await subscribed(reader, channel);
  const came = once(subscription, "publication");
  const plain = rig.client({}, rig.endpoint(), false);
  const gone = once(plain, "disconnected");
  plain.connect();
  await plain.ready();
  await subscribed(plain, channel);
  await author.publish(channel, bytes);
  assert.deepEqual(Uint8Array.from((await came).data), bytes);
  assert.equal((await gone).code, 3506);
}, { fits: (way) => way.binary });

each("clients of both encodings understand each other", async (rig) => {
  const channel = unique("both");
  const [author, plain] = [await rig.connected(), rig.client({}, rig.endpoint(), false)];
  plain.connect();
  await plain.ready();
  const [subscription] = await subscribed(plain, channel);
  const came = heard(subscription, "publication");
  await author.publish(channel, rig.pack({ text: "Grüße\n" }));
  assert.deepEqual((await came.find()).data, { text: "Grüße\n" });
}, { fits: (way) => way.binary });
