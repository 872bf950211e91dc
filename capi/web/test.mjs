// Uses the page in a headless Chromium as a person would: node test.mjs CHROMIUM PAGE.html FOLDER
//
// Draws, waits for the masks, moves sliders, changes the method, downloads the PNG. Leaves in FOLDER what the page worked
// on and what it found, for a comparison with the library built for this machine and with the command line, and a picture
// of the page, and prints one line a claim.

import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync, existsSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { argv, exit } from "node:process";

const [chromium, html, folder] = [argv[2], resolve(argv[3]), resolve(argv[4])];
const profile = mkdtempSync(join(tmpdir(), "wseg-page-"));
const browser = spawn(
  chromium,
  ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", `--user-data-dir=${profile}`,
    "--window-size=1200,900", "--remote-debugging-pipe", "about:blank"],
  { stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"] },
);

const pending = new Map();
const problems = [];
let calls = 0;
let received = "";
browser.stdio[4].on("data", (data) => {
  received += data;
  const messages = received.split("\0");
  received = messages.pop();
  for (const message of messages.map((text) => JSON.parse(text))) {
    if (message.method === "Runtime.exceptionThrown") problems.push(message.params.exceptionDetails.text);
    pending.get(message.id)?.(message);
    pending.delete(message.id);
  }
});

let session;
function send(method, params = {}) {
  const id = ++calls;
  browser.stdio[3].write(`${JSON.stringify({ id, method, params, sessionId: session })}\0`);
  return new Promise((done, failed) => {
    pending.set(id, ({ result, error }) => (error ? failed(new Error(`${method}: ${error.message}`)) : done(result)));
  });
}

async function evaluate(expression) {
  const { result, exceptionDetails } = await send("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
  if (exceptionDetails) throw new Error(`${expression}: ${exceptionDetails.exception?.description ?? exceptionDetails.text}`);
  return result.value;
}

async function until(what, condition) {
  for (let tries = 0; tries < 600; tries++) {
    if (await condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${what} did not happen`);
}

function claim(text, holds) {
  console.log(`${holds ? "ok  " : "FAIL"} ${text}`);
  if (!holds) throw new Error(text);
}

/** Presses at the first point of the picture and moves to the others. */
async function stroke(points) {
  const box = await evaluate(
    "(() => { const { left, top, width } = view.getBoundingClientRect(); return [left, top, width / page.width]; })()");
  const at = ([x, y]) => ({ x: box[0] + (x + 0.5) * box[2], y: box[1] + (y + 0.5) * box[2] });
  const mouse = (type, point, buttons) =>
    send("Input.dispatchMouseEvent", { type, ...at(point), button: "left", buttons, clickCount: 1 });
  await mouse("mousePressed", points[0], 1);
  for (const point of points.slice(1)) await mouse("mouseMoved", point, 1);
  await mouse("mouseReleased", points.at(-1), 0);
}

/** Clicks what a selector finds. */
async function click(selector) {
  const [x, y] = await evaluate(
    `(() => { const e = document.querySelector(${JSON.stringify(selector)}); e.scrollIntoView({ block: "nearest" });
     const b = e.getBoundingClientRect(); return [b.left + b.width / 2, b.top + b.height / 2]; })()`);
  for (const type of ["mousePressed", "mouseReleased"])
    await send("Input.dispatchMouseEvent", { type, x, y, button: "left", buttons: 1, clickCount: 1 });
  await evaluate("window.scrollTo(0, 0)");
}

const array = (name) => evaluate(`btoa(Array.from(new Uint8Array(page.${name}.buffer, page.${name}.byteOffset,
  page.${name}.byteLength), (byte) => String.fromCharCode(byte)).join(""))`).then((text) => Buffer.from(text, "base64"));
/** Moves sliders and waits for the masks. */
async function slide(values) {
  const runs = await evaluate("page.runs");
  for (const [id, value] of Object.entries(values)) {
    await evaluate(`element("${id}").value = ${value}; element("${id}").dispatchEvent(new Event("input"))`);
  }
  await until("a refinement", async () => (await evaluate("page.runs")) > runs);
}

const label = (x, y) => evaluate(`page.labels[${y} * page.width + ${x}]`);

/** The dense CRF, with constants that are not its own, after PAMR and alone. */
async function useCrf() {
  const runs = await evaluate("page.runs");
  await click("#method input[value='pamr+crf']");
  await until("a refinement", async () => (await evaluate("page.runs")) > runs);
  claim("the CRF's sliders work", await evaluate("!element('crf').disabled && !element('pamr').disabled"));
  const constants = { "crf-iterations": 7, "gaussian-compat": 4, "gaussian-sxy": 2, "bilateral-compat": 8,
    "bilateral-sxy": 60, "bilateral-srgb": 10 };
  await slide(constants);
  claim("the CRF works on the classes that are drawn", (await evaluate("page.crf.used.join()")) === "0,1,2");
  for (const name of ["given", "refined"]) writeFileSync(join(folder, `crf-${name}`), await array(`crf.${name}`));
  writeFileSync(join(folder, "crf-labels"), await array("labels"));
  writeFileSync(join(folder, "crf-constants"), Object.values(constants).join(" "));
  const png = await evaluate(`(async () => {
    const canvas = new OffscreenCanvas(page.width, page.height);
    canvas.getContext("2d").putImageData(photo, 0, 0);
    const bytes = new Uint8Array(await (await canvas.convertToBlob({ type: "image/png" })).arrayBuffer());
    return btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(""));
  })()`);
  writeFileSync(join(folder, "photo.png"), Buffer.from(png, "base64"));
  const { data } = await send("Page.captureScreenshot", { format: "png" });
  writeFileSync(join(folder, "page.png"), Buffer.from(data, "base64"));

  const both = (await array("masks")).toString("base64");
  await click("#method input[value='crf']");
  await until("a refinement", () => evaluate("element('pamr').disabled && !waiting"));
  claim("the CRF alone gives other masks", (await array("masks")).toString("base64") !== both);
  claim("it finds the disc, too", (await label(32, 70)) === 1 && (await label(86, 70)) === 1);
  const strong = (await array("masks")).toString("base64");
  await slide({ "bilateral-compat": 0 });
  claim("its sliders change the masks", (await array("masks")).toString("base64") !== strong);
}

async function use() {
  const { targetInfos } = await send("Target.getTargets");
  const { targetId } = targetInfos.find(({ type }) => type === "page");
  session = (await send("Target.attachToTarget", { targetId, flatten: true })).sessionId;
  await send("Runtime.enable");
  await send("Page.navigate", { url: `file://${html}` });
  await until("loading", () => evaluate("typeof page === 'object' && page.ready && page.runs > 0"));
  claim("the page loads from a file", true);

  await stroke([[60, 60], [70, 75], [50, 80]]);
  await click("#classes button:nth-child(3)");
  await stroke([[140, 60], [150, 90]]);
  await click("#classes button:nth-child(1)");
  await stroke([[10, 10], [100, 20], [185, 15], [183, 130], [105, 125], [8, 130]]);
  const drawn = await evaluate("page.runs");
  await evaluate("refineSoon()");
  await until("a refinement", async () => (await evaluate("page.runs")) > drawn);
  claim("scribbles are drawn", (await evaluate("new Set(page.seeds).size")) === 4);
  claim("the disc is found beyond its scribble", (await label(32, 70)) === 1 && (await label(86, 70)) === 1);
  claim("the box is another object", (await label(123, 105)) === 2);
  claim("the wall is background", (await label(105, 75)) === 0 && (await label(60, 120)) === 0);

  for (const name of ["image", "seeds", "masks", "labels"]) writeFileSync(join(folder, name), await array(name));
  const settings = await evaluate("[page.width, page.height, number('iterations'), number('dilations'), number('rounds')]");
  writeFileSync(join(folder, "settings"), settings.join(" "));

  await send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: folder });
  await click("#download");
  const file = join(folder, "mask.png");
  await until("the download", () => existsSync(file) && readFileSync(file).length > 0);
  const png = readFileSync(file);
  claim("a PNG is downloaded", png.subarray(1, 4).toString() === "PNG");
  const same = await evaluate(`(async () => {
    const bytes = Uint8Array.from(atob("${png.toString("base64")}"), (c) => c.charCodeAt(0));
    const bitmap = await createImageBitmap(new Blob([bytes]));
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
    return bitmap.width === page.width && bitmap.height === page.height
      && page.labels.every((label, i) => CLASSES[label].colour.every((value, k) => data[4 * i + k] === value));
  })()`);
  claim("it shows the label of every pixel", same);

  const before = (await array("masks")).toString("base64");
  await slide({ iterations: 2 });
  claim("the slider changes the masks", (await array("masks")).toString("base64") !== before);
  claim("the CRF's sliders rest", await evaluate("element('crf').disabled && !element('pamr').disabled"));
  await useCrf();

  const colour = () => evaluate("Array.from(view.getContext('2d').getImageData(86, 70, 1, 1).data).join()");
  const after = await colour();
  await evaluate("element('divider').value = 100; element('divider').dispatchEvent(new Event('input'))");
  claim("before and after differ", (await colour()) !== after);

  await click("#clear");
  await until("clearing", () => evaluate("page.labels.every((label) => label === 0)"));
  claim("cleared, nothing is left", await evaluate("page.seeds.every((seed) => seed === 0)"));
  claim("no script failed", problems.length === 0);
}

let verdict = 0;
try {
  await use();
} catch (error) {
  console.log(error.message, ...problems);
  verdict = 1;
}
browser.kill();
await new Promise((done) => (browser.exitCode === null && browser.signalCode === null ? browser.once("exit", done) : done()));
rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
exit(verdict);
