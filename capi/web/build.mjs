// Makes the page one file that needs no server: node build.mjs MODULE OUT.html

import { readFileSync, writeFileSync } from "node:fs";
import { argv } from "node:process";

const [module, out] = argv.slice(2);
const read = (name) => readFileSync(new URL(name, import.meta.url), "utf8");
// Functions, so that nothing in the replacement is taken for a pattern.
const html = read("index.html")
  .replace("WSEG_MODULE", () => readFileSync(module).toString("base64"))
  .replace("WSEG_SCRIPT", () => `\n${read("wseg.js")}\n${read("page.js").replace('"use strict";', "")}`);
writeFileSync(out, html);
