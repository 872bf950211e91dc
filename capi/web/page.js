// The page: a photo, scribbles for each class, and the masks that the library makes of them.

"use strict";

/** Classes: background and three objects, with their colours. */
const CLASSES = [
  { name: "background", colour: [70, 70, 70] },
  { name: "object 1", colour: [230, 60, 60] },
  { name: "object 2", colour: [60, 200, 90] },
  { name: "object 3", colour: [70, 120, 250] },
];

/** Longest side that is worked on, in pixels. */
const LONGEST = 320;

/** How much of the refined masks the CRF believes where nothing is drawn; the rest is shared by all classes. */
const BELIEVED = 0.9;

const element = (id) => document.getElementById(id);
const number = (id) => Number(element(id).value);
const method = () => document.querySelector("input[name=method]:checked").value;
const view = element("view");

const page = {
  ready: false,
  /** Counts refinements; a test waits for the next one. */
  runs: 0,
  width: 0,
  height: 0,
  /** [3, height, width] in 0..1. */
  image: new Float32Array(),
  /** [height, width, 3], as the CRF takes it. */
  bytes: new Uint8Array(),
  /** For each pixel 0 where nothing is drawn, else the class and 1. */
  seeds: new Uint8Array(),
  /** [classes, height, width], refined. */
  masks: new Float32Array(),
  /** What the CRF was given and what it made of it, [used classes, height, width], and which classes these are. */
  crf: { used: [], given: new Float32Array(), refined: new Float32Array() },
  /** For each pixel its class. */
  labels: new Uint8Array(),
  current: 1,
};

let library;
let photo;
let waiting = false;

/** Masks of the scribbles: certain where something is drawn, nothing elsewhere. */
function scribbled(masks) {
  const pixels = page.width * page.height;
  page.seeds.forEach((seed, i) => {
    if (seed === 0) return;
    for (let c = 0; c < CLASSES.length; c++) masks[c * pixels + i] = c === seed - 1 ? 1 : 0;
  });
  return masks;
}

/** PAMR of the scribbles, which hold in every round. */
function pamr(masks) {
  const options = {
    classes: CLASSES.length,
    width: page.width,
    height: page.height,
    dilations: number("dilations"),
    iterations: number("iterations"),
  };
  for (let round = 0; round < number("rounds"); round++) {
    masks = scribbled(library.refine(masks, page.image, options));
  }
  return masks;
}

/** The dense CRF of the classes that are drawn: certain where something is, elsewhere mostly what the masks say. */
function crf(masks) {
  const pixels = page.width * page.height;
  const used = CLASSES.map((_, c) => c).filter((c) => page.seeds.includes(c + 1));
  if (used.length === 0) return masks;
  const given = new Float32Array(used.length * pixels);
  for (let i = 0; i < pixels; i++) {
    let sum = 0;
    for (const c of used) sum += masks[c * pixels + i];
    const believed = page.seeds[i] > 0 ? 1 : sum > 0 ? BELIEVED : 0;
    used.forEach((c, k) => {
      const share = believed > 0 ? masks[c * pixels + i] / sum : 0;
      given[k * pixels + i] = believed * share + (1 - believed) / used.length;
    });
  }
  const refined = library.denseCrf(given, page.bytes, {
    classes: used.length,
    width: page.width,
    height: page.height,
    iterations: number("crf-iterations"),
    gaussian: { compat: number("gaussian-compat"), sxy: number("gaussian-sxy") },
    bilateral: { compat: number("bilateral-compat"), sxy: number("bilateral-sxy"), srgb: number("bilateral-srgb") },
  });
  page.crf = { used, given, refined };
  const all = new Float32Array(masks.length);
  used.forEach((c, k) => all.set(refined.subarray(k * pixels, (k + 1) * pixels), c * pixels));
  return all;
}

/** Refines the scribbles and labels each pixel by its strongest class. */
function refine() {
  const pixels = page.width * page.height;
  const start = performance.now();
  let masks = scribbled(new Float32Array(CLASSES.length * pixels));
  try {
    if (method().includes("pamr")) masks = pamr(masks);
    if (method().includes("crf")) masks = crf(masks);
  } catch (error) {
    element("problem").textContent = `The masks cannot be refined: ${error.message}.`;
    return;
  }
  page.masks = masks;
  for (let i = 0; i < pixels; i++) {
    let best = 0;
    for (let c = 1; c < CLASSES.length; c++) if (masks[c * pixels + i] > masks[best * pixels + i]) best = c;
    page.labels[i] = best;
  }
  element("time").textContent = `${Math.round(performance.now() - start)} ms`;
  draw();
  page.runs += 1;
}

/** Refines before the next frame, however often it is asked for until then. */
function refineSoon() {
  element("pamr").disabled = !method().includes("pamr");
  element("crf").disabled = !method().includes("crf");
  if (waiting || !library) return;
  waiting = true;
  requestAnimationFrame(() => {
    waiting = false;
    refine();
  });
}

/** The photo, left of the divider with the scribbles and right of it with the classes' colours. */
function draw() {
  const { width, height } = page;
  const pixels = new ImageData(new Uint8ClampedArray(photo.data), width, height);
  const divider = (number("divider") / 100) * width;
  for (let i = 0; i < width * height; i++) {
    const seed = page.seeds[i];
    const label = i % width < divider ? seed - 1 : page.labels[i];
    if (label < 0 || (label === 0 && seed === 0)) continue;
    const share = seed > 0 && i % width < divider ? 1 : 0.55;
    for (let k = 0; k < 3; k++) {
      pixels.data[4 * i + k] = (1 - share) * photo.data[4 * i + k] + share * CLASSES[label].colour[k];
    }
  }
  view.getContext("2d").putImageData(pixels, 0, 0);
}

/** Starts with a picture of the working size. */
function begin(picture, width, height) {
  [page.width, page.height] = [view.width, view.height] = [width, height];
  view.style.setProperty("--ratio", width / height);
  photo = picture;
  const pixels = width * height;
  page.image = new Float32Array(3 * pixels);
  page.bytes = new Uint8Array(3 * pixels);
  for (let i = 0; i < pixels; i++) {
    for (let k = 0; k < 3; k++) {
      page.bytes[3 * i + k] = photo.data[4 * i + k];
      page.image[k * pixels + i] = photo.data[4 * i + k] / 255;
    }
  }
  clear();
}

function clear() {
  page.seeds = new Uint8Array(page.width * page.height);
  page.labels = new Uint8Array(page.width * page.height);
  draw();
  refineSoon();
}

/** Opens a photo, made smaller if it is large. */
async function open(file) {
  let bitmap;
  try {
    bitmap = await createImageBitmap(file);
  } catch {
    element("problem").textContent = `${file.name} is not a picture that this browser reads: choose a JPEG or PNG file.`;
    return;
  }
  element("problem").textContent = "";
  const scale = Math.min(1, LONGEST / Math.max(bitmap.width, bitmap.height));
  const [width, height] = [bitmap.width, bitmap.height].map((side) => Math.max(1, Math.round(side * scale)));
  const canvas = new OffscreenCanvas(width, height);
  canvas.getContext("2d").drawImage(bitmap, 0, 0, width, height);
  begin(canvas.getContext("2d").getImageData(0, 0, width, height), width, height);
}

/** A scene to begin with: a disc and a box before a wall. */
function example() {
  const [width, height] = [192, 144];
  const picture = new ImageData(width, height);
  let grain = 1;
  for (let i = 0; i < width * height; i++) {
    const [x, y] = [i % width, Math.floor(i / width)];
    const disc = (x - 60) ** 2 + (y - 70) ** 2 < 38 ** 2;
    const box = x > 118 && x < 170 && y > 40 && y < 112;
    const colour = disc ? [215, 90, 50] : box ? [60, 150, 80] : [60, 100 + y / 4, 180];
    grain = (Math.imul(grain, 1664525) + 1013904223) >>> 0;
    colour.forEach((value, k) => (picture.data[4 * i + k] = value + (grain >>> 28) - 8));
    picture.data[4 * i + 3] = 255;
  }
  begin(picture, width, height);
}

/** Draws a dot, or a line from the point before, in pixels of the picture. */
function scribble(from, to) {
  const radius = number("brush") / 2;
  const steps = Math.max(1, Math.ceil(Math.hypot(to.x - from.x, to.y - from.y)));
  for (let step = 0; step <= steps; step++) {
    const [x, y] = ["x", "y"].map((axis) => from[axis] + ((to[axis] - from[axis]) * step) / steps);
    for (let row = Math.max(0, Math.ceil(y - radius)); row <= Math.min(page.height - 1, y + radius); row++) {
      for (let column = Math.max(0, Math.ceil(x - radius)); column <= Math.min(page.width - 1, x + radius); column++) {
        if (Math.hypot(column - x, row - y) <= radius) page.seeds[row * page.width + column] = page.current + 1;
      }
    }
  }
  refineSoon();
}

function point(event) {
  const box = view.getBoundingClientRect();
  return {
    x: ((event.clientX - box.left) / box.width) * page.width - 0.5,
    y: ((event.clientY - box.top) / box.height) * page.height - 0.5,
  };
}

/** Saves the classes' colours as a PNG at the working size. */
function download() {
  const canvas = new OffscreenCanvas(page.width, page.height);
  const pixels = new ImageData(page.width, page.height);
  page.labels.forEach((label, i) => pixels.data.set([...CLASSES[label].colour, 255], 4 * i));
  canvas.getContext("2d").putImageData(pixels, 0, 0);
  canvas.convertToBlob({ type: "image/png" }).then((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = "mask.png";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  });
}

let last;
view.addEventListener("pointerdown", (event) => {
  view.setPointerCapture(event.pointerId);
  last = point(event);
  scribble(last, last);
});
view.addEventListener("pointermove", (event) => {
  if (!last) return;
  const next = point(event);
  scribble(last, next);
  last = next;
});
for (const name of ["pointerup", "pointercancel"]) view.addEventListener(name, () => (last = undefined));
for (const input of document.querySelectorAll(".slider input")) {
  const output = document.createElement("output");
  output.textContent = input.value;
  input.after(output);
  input.addEventListener("input", () => {
    output.textContent = input.value;
    if (input.id !== "brush") refineSoon();
  });
}
element("method").addEventListener("change", refineSoon);
element("divider").addEventListener("input", draw);
element("clear").addEventListener("click", clear);
element("download").addEventListener("click", download);
element("open").addEventListener("change", ({ target }) => target.files[0] && open(target.files[0]));
CLASSES.forEach(({ name, colour }, c) => {
  const button = document.createElement("button");
  button.textContent = name;
  button.style.setProperty("--colour", `rgb(${colour})`);
  button.addEventListener("click", () => {
    page.current = c;
    [...element("classes").children].forEach((other) => other.setAttribute("aria-pressed", other === button));
  });
  button.setAttribute("aria-pressed", c === page.current);
  element("classes").append(button);
});

/** The module's bytes, which the build writes into the page. */
const bytes = Uint8Array.from(atob(element("module").textContent.trim()), (character) => character.charCodeAt(0));
loadWseg(bytes).then((loaded) => {
  library = loaded;
  element("version").textContent = library.version;
  example();
  page.ready = true;
});
