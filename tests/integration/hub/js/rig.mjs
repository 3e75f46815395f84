// What the tests share: the stock client on every transport, tokens, the server API, and waiting for events.
//
// STOCK_URL is the http:// address of what is tested, STOCK_SECRET its HMAC secret, STOCK_API_KEY the key of its server API. STOCK_SECURE_URL
// is one that lets nobody in without a token, and ends those whose token is over; STOCK_BRISK_URL is one that pings every second. STOCK_WAY
// names one way of connecting where not all are meant.
import assert from "node:assert/strict";
import crypto from "node:crypto";
import { test } from "node:test";

import { Centrifuge as JsonClient } from "centrifuge";
import { Centrifuge as ProtobufClient } from "centrifuge/build/protobuf";
import { EventSource } from "eventsource";
import { Agent, setGlobalDispatcher } from "undici";
import { WebSocket } from "ws";

setGlobalDispatcher(new Agent({ pipelining: 0 })); // a connection for each request: one kept may be closed when it is taken again

const URL_ = process.env.STOCK_URL;
const SECRET = process.env.STOCK_SECRET;
const API_KEY = process.env.STOCK_API_KEY;
const DEADLINE_MS = 40_000;

export const SECURE = process.env.STOCK_SECURE_URL;
export const BRISK = process.env.STOCK_BRISK_URL;


const ways = [
  { name: "websocket", transport: "websocket", binary: false },
  { name: "websocket, protobuf", transport: "websocket", binary: true },
  { name: "http_stream", transport: "http_stream", binary: false },
  { name: "http_stream, protobuf", transport: "http_stream", binary: true },
  { name: "sse", transport: "sse", binary: false },
].filter(({ name }) => !process.env.STOCK_WAY || name === process.env.STOCK_WAY);

const now = () => Math.floor(Date.now() / 1000);
export const inSeconds = (seconds) => now() + seconds;

export function token(claims, secret = SECRET) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const head = `${part({ alg: "HS256", typ: "JWT" })}.${part(claims)}`;
  return `${head}.${crypto.createHmac("sha256", secret).update(head).digest("base64url")}`;
}

export const unique = (name) => `${name}_${crypto.randomUUID()}`;

export async function api(method, body) {
  const answer = await fetch(`${URL_}/api/${method}`, { method: "POST", headers: { "X-API-Key": API_KEY }, body: JSON.stringify(body) });
  assert.equal(answer.status, 200, method);
  const said = await answer.json();
  assert.equal(said.error, undefined, JSON.stringify(said.error));
  return said.result;
}

// The contexts of one event of a client or subscription, in order; `find` waits for the first one not yet found that fits.
export function heard(emitter, event) {
  const contexts = [];
  const waiting = [];
  const look = () => {
    for (const waiter of [...waiting]) {
      const index = contexts.findIndex((context, at) => at >= waiter.from && waiter.fits(context));
      if (index >= 0) {
        waiting.splice(waiting.indexOf(waiter), 1);
        waiter.resolve(contexts[index]);
      }
    }
  };
  emitter.on(event, (context) => {
    contexts.push(context);
    look();
  });
  return {
    all: contexts,
    find: (fits = () => true, from = 0) => new Promise((resolve) => { waiting.push({ fits, from, resolve }); look(); }),
    count: (wanted) => new Promise((resolve) => { waiting.push({ fits: () => contexts.length >= wanted, from: 0, resolve }); look(); }),
  };
}

export const once = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));

export async function failsWith(promise, code) {
  await assert.rejects(promise, (error) => {
    assert.equal(error.code, code, `${JSON.stringify(error)} ${error.message ?? ""}`);
    return true;
  });
}

// What a test gets: clients that end with it, of its way. `pack` and `unpack` turn values into what the client's build publishes and shows.
class Rig {
  constructor(way, url) {
    this.way = way;
    this.url = url;
    this.clients = [];
  }

  endpoint(transport = this.way.transport) {
    const endpoint = `${transport === "websocket" ? this.url.replace("http", "ws") : this.url}/connection/${transport}`;
    return transport === "websocket" ? endpoint : [{ transport, endpoint }];
  }

  client(options = {}, endpoint = this.endpoint(), binary = this.way.binary) {
    const made = new (binary ? ProtobufClient : JsonClient)(endpoint, {
      websocket: WebSocket, eventsource: EventSource, fetch, readableStream: ReadableStream, emulationEndpoint: `${this.url}/emulation`,
      minReconnectDelay: 10, maxReconnectDelay: 200, timeout: 20_000, ...options,
    });
    this.clients.push(made);
    return made;
  }

  async connected(options = {}) {
    const made = this.client(options);
    made.connect();
    await made.ready(DEADLINE_MS);
    return made;
  }

  pack(value) {
    return this.way.binary ? new TextEncoder().encode(JSON.stringify(value)) : value;
  }

  unpack(data) {
    return this.way.binary ? JSON.parse(new TextDecoder().decode(data)) : data;
  }

  close() {
    for (const client of this.clients) client.disconnect();
  }
}

// One test for each way, or for those that `fits`, at `url`.
export function each(name, body, { fits = () => true, url = URL_ } = {}) {
  for (const way of ways.filter(fits)) {
    test(`${way.name}: ${name}`, { timeout: DEADLINE_MS }, async () => {
      const rig = new Rig(way, url);
      try {
        await body(rig);
      } finally {
        rig.close();
      }
    });
  }
}

export async function subscribed(client, channel, options = {}) {
  const subscription = client.newSubscription(channel, { minResubscribeDelay: 10, maxResubscribeDelay: 200, ...options });
  const first = once(subscription, "subscribed");
  subscription.subscribe();
  return [subscription, await first];
}
