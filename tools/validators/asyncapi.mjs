// Validates an AsyncAPI document from disk: prints every error and warning, ends with 1 when there is an error. Asks nothing of the network.
import { readFileSync } from "node:fs";
import { Parser } from "@asyncapi/parser";

const { document, diagnostics } = await new Parser().parse(readFileSync(process.argv[2], "utf8"));
for (const found of diagnostics) {
  console.log(["error", "warning", "info", "hint"][found.severity], found.code, found.path.join("."), found.message);
}
process.exit(document === undefined || diagnostics.some((found) => found.severity === 0) ? 1 : 0);
