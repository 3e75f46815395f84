// Tokens of connections and subscriptions: given, asked for, refused, renewed; and what the server subscribes by them.
import assert from "node:assert/strict";

import { SECURE, api, each, heard, inSeconds, once, subscribed, token, unique } from "./rig.mjs";

const { UnauthorizedError } = (await import("centrifuge")).Centrifuge;
const { UnauthorizedError: UnauthorizedErrorOfProtobuf } = (await import("centrifuge/build/protobuf")).Centrifuge;
const unauthorized = (rig) => new (rig.way.binary ? UnauthorizedErrorOfProtobuf : UnauthorizedError)("no");

each("a token names the user", async (rig) => {
  const user = unique("ada");
  const client = await rig.connected({ token: token({ sub: user, exp: inSeconds(600), info: { name: "Ada" } }) });
  const [subscription] = await subscribed(client, unique("who"));
  const came = once(subscription, "publication");
  await subscription.publish(rig.pack({}));
  const { info } = await came;
  assert.deepEqual([info.user, rig.unpack(info.connInfo)], [user, { name: "Ada" }]);
  const [found] = Object.values((await subscription.presence()).clients);
  assert.deepEqual([found.user, rig.unpack(found.connInfo)], [user, { name: "Ada" }]);
});

each("a token that is not genuine ends it for good", async (rig) => {
  for (const bad of [token({ sub: "ada" }, "another secret"), "nonsense", token({ sub: "ada" }).replace(/\.[^.]*$/, ".")]) {
    const client = rig.client({ token: bad });
    const gone = once(client, "disconnected");
    client.connect();
    const { code, reason } = await gone;
    assert.deepEqual([code, reason], [3500, "invalid token"]);
  }
});

each("a token is asked for where there is none, and where one has expired", async (rig) => {
  let asked = 0;
  const getToken = async () => {
    asked += 1;
    return token({ sub: "ada", exp: inSeconds(600) });
  };
  await rig.connected({ getToken });
  assert.equal(asked, 1);
  await rig.connected({ getToken, token: token({ sub: "ada", exp: inSeconds(-10) }) });
  assert.equal(asked, 2);
});

each("a token is renewed before it ends, and the connection stays", async (rig) => {
  const asked = [];
  let second;
  const renewed = new Promise((resolve) => { second = resolve; });
  const user = unique("ada");
  const getToken = async () => {
    asked.push(1);
    if (asked.length === 3) second();
    return token({ sub: user, exp: inSeconds(asked.length < 3 ? 2 : 600) });
  };
  const client = rig.client({ getToken });
  const connected = heard(client, "connected");
  client.connect();
  await connected.count(1);
  await renewed;
  await assert.rejects(client.rpc("still", rig.pack({})), { code: 108 });
  assert.equal(connected.all.length, 1);
}, { url: SECURE });

each("nobody comes in without a token where one is needed", async (rig) => {
  const client = rig.client();
  const gone = once(client, "disconnected");
  client.connect();
  assert.equal((await gone).code, 3501);
}, { url: SECURE });

each("a token that ends, with nobody to renew it, ends the connection", async (rig) => {
  const client = rig.client({ token: token({ sub: "ada", exp: inSeconds(2) }) });
  const gone = once(client, "disconnected");
  client.connect();
  await client.ready();
  assert.equal((await gone).code, 1);
}, { url: SECURE });

each("whoever gets no token is disconnected, at once or at the renewal", async (rig) => {
  const never = rig.client({ getToken: async () => { throw unauthorized(rig); } });
  let gone = once(never, "disconnected");
  never.connect();
  assert.equal((await gone).code, 1);
  let first = true;
  const later = rig.client({
    getToken: async () => {
      if (!first) throw unauthorized(rig);
      first = false;
      return token({ sub: "ada", exp: inSeconds(2) });
    },
  });
  gone = once(later, "disconnected");
  later.connect();
  await later.ready();
  assert.equal((await gone).code, 1);
}, { url: SECURE });

each("a failing source of tokens is asked again", async (rig) => {
  let asked = 0;
  const client = rig.client({
    getToken: async () => {
      asked += 1;
      if (asked === 1) throw new Error("not now");
      return token({ sub: "ada" });
    },
  });
  const failed = once(client, "error");
  client.connect();
  assert.equal((await failed).error.code, 5);
  await client.ready();
});

each("a token can be set later", async (rig) => {
  const client = rig.client({ token: token({ sub: "ada" }, "another secret") });
  const gone = once(client, "disconnected");
  client.connect();
  await gone;
  client.setToken(token({ sub: "ada" }));
  client.connect();
  await client.ready();
});

each("a subscription's token is asked for, and renewed before it ends", async (rig) => {
  const user = unique("ada");
  const channel = unique("mine");
  const client = await rig.connected({ token: token({ sub: user }) });
  const asked = [];
  let third;
  const renewed = new Promise((resolve) => { third = resolve; });
  const getToken = async (context) => {
    asked.push(context.channel);
    if (asked.length === 3) third();
    return token({ sub: user, channel, exp: inSeconds(asked.length < 3 ? 2 : 600) });
  };
  const [subscription] = await subscribed(client, channel, { getToken });
  const interrupted = heard(subscription, "subscribing");
  await renewed;
  await subscription.publish(rig.pack({}));
  assert.deepEqual([asked, interrupted.all.length], [[channel, channel, channel], 0]);
});

each("a subscription's token that has expired is replaced", async (rig) => {
  const channel = unique("expired");
  const client = await rig.connected();
  const getToken = async () => token({ sub: "", channel, exp: inSeconds(600) });
  await subscribed(client, channel, { token: token({ sub: "", channel, exp: inSeconds(-10) }), getToken });
});

each("a subscription's token that is not genuine ends the subscription", async (rig) => {
  const client = await rig.connected();
  const channel = unique("forged");
  const subscription = client.newSubscription(channel, { token: token({ sub: "", channel }, "another secret") });
  const gone = once(subscription, "unsubscribed");
  subscription.subscribe();
  assert.equal((await gone).code, 103);
  assert.equal(client.state, "connected");
});

each("a subscription's token of another channel or user ends the connection", async (rig) => {
  for (const claims of [{ sub: "", channel: "another" }, { sub: "eve", channel: "of_ada" }]) {
    const client = await rig.connected();
    const gone = once(client, "disconnected");
    client.newSubscription("of_ada", { token: token(claims) }).subscribe();
    assert.equal((await gone).code, 3500);
  }
});

each("whoever gets no subscription token is unsubscribed, at once or at the renewal", async (rig) => {
  const client = await rig.connected();
  const never = client.newSubscription(unique("never"), { getToken: async () => { throw unauthorized(rig); } });
  let gone = once(never, "unsubscribed");
  never.subscribe();
  assert.equal((await gone).code, 1);
  const channel = unique("later");
  let first = true;
  const [later] = await subscribed(client, channel, {
    getToken: async () => {
      if (!first) throw unauthorized(rig);
      first = false;
      return token({ sub: "", channel, exp: inSeconds(2) });
    },
  });
  gone = once(later, "unsubscribed");
  assert.equal((await gone).code, 1);
  assert.equal(client.state, "connected");
});

each("a user is subscribed to its personal channel by the server, and recovers there", async (rig) => {
  const user = unique("ada");
  const client = rig.client({ token: token({ sub: user }) });
  const [joined, came] = [heard(client, "subscribed"), heard(client, "publication")];
  client.connect();
  const fits = (context) => context.channel === `#${user}`;
  const first = await joined.find(fits);
  assert.deepEqual([first.recoverable, first.wasRecovering], [true, false]);
  await api("publish", { channel: `#${user}`, data: { n: 1 } });
  assert.deepEqual(rig.unpack((await came.find(fits)).data), { n: 1 });
  client.disconnect();
  await api("publish", { channel: `#${user}`, data: { n: 2 } });
  client.connect();
  const again = await joined.find(fits, joined.all.length);
  assert.deepEqual([again.wasRecovering, again.recovered], [true, true]);
  await came.count(2);
  assert.deepEqual(came.all.map((context) => rig.unpack(context.data).n), [1, 2]);
});

each("the server subscribes to what a token names", async (rig) => {
  const [user, channels] = [unique("ada"), [unique("listed"), unique("also")]];
  const client = rig.client({ token: token({ sub: user, channels }) });
  const joined = heard(client, "subscribed");
  const came = heard(client, "publication");
  const gone = heard(client, "unsubscribed");
  client.connect();
  for (const channel of channels) await joined.find((context) => context.channel === channel);
  const other = await rig.connected();
  await other.publish(channels[1], rig.pack({ n: 1 }));
  assert.equal((await came.find()).channel, channels[1]);
  await api("unsubscribe", { user, channel: channels[0] });
  await gone.find((context) => context.channel === channels[0]);
});

each("a subscription's token says more about its owner", async (rig) => {
  const channel = unique("more");
  const client = await rig.connected();
  const [subscription] = await subscribed(client, channel, { token: token({ sub: "", channel, info: { seat: 7 } }) });
  const came = once(subscription, "publication");
  await subscription.publish(rig.pack({}));
  assert.deepEqual(rig.unpack((await came).info.chanInfo), { seat: 7 });
});
