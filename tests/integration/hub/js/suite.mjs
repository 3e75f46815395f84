// All tests in one process, many at a time: each has channels and users of its own. Run by test_centrifuge_js.py.
import { describe } from "node:test";

const files = ["connections", "subscriptions", "channels", "histories", "tokens", "wires"];
describe("stock client", { concurrency: 8 }, async () => {
  for (const file of files) await import(`./${file}.mjs`);
});
