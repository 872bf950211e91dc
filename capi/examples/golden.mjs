// Golden cases through the WebAssembly module, in Node: sh capi/examples/run.sh wasm
//
// The module is the C library itself, with the dense CRF, and hands out its memory by `wseg_wasm_allocate`. (Built
// without the feature crf it allocates nothing, and its memory beyond `__heap_base` is the host's.)
// Usage: node golden.mjs MODULE FIXTURES [--wrong]; with --wrong one expected value is changed, and the run has to fail.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { exit } from "node:process";

const [modulePath, fixtures, wrong] = process.argv.slice(2);
const { module, instance } = await WebAssembly.instantiate(readFileSync(modulePath), {});
const wseg = instance.exports;
const TOLERANCE = 1e-5;

/** Ends of panics in the module, by the names of its functions. */
function panics() {
  const [names] = WebAssembly.Module.customSections(module, "name");
  const text = Buffer.from(names).toString("latin1");
  // Before each part of a name stands its length.
  const ends = [...text.matchAll(/9panicking(?:11panic_const)?(\d+)([a-z_]+)/g)].map(([, length, name]) => name.slice(0, length));
  return [...ends, ...(text.match(/handle_alloc_error|capacity_overflow|unwrap_failed|expect_failed/g) ?? [])];
}

// dlmalloc's are left, which looks after its own heap: no index and no request for memory of this library can end in one.
const left = ["panic", "panic_fmt", "panic_const_div_by_zero"];
const others = panics().filter((end) => !left.includes(end));
if (others.length > 0) throw new Error(`the module can panic: ${others.join(", ")}`);

/** Memory of the module for one case: what the case before had is given back. */
class Memory {
  static pieces = [];

  constructor() {
    Memory.pieces.forEach((address) => wseg.wseg_wasm_release(address));
    Memory.pieces = [];
  }

  /** The address of `count` floats, the first of which are `values`. */
  floats(count, values = []) {
    const address = this.reserve(count * 4);
    new Float32Array(wseg.memory.buffer, address, count).set(values);
    return address;
  }

  /** The address of bytes. */
  bytes(values) {
    const address = this.reserve(values.length);
    new Uint8Array(wseg.memory.buffer, address, values.length).set(values);
    return address;
  }

  /** The address of a WsegShape. C passes it by value, which here is by address. */
  shape(extents) {
    const address = this.reserve(16);
    new Uint32Array(wseg.memory.buffer, address, 4).set(extents);
    return address;
  }

  /** The address of a WsegPamr. */
  pamr(dilations, iterations, sigmaWeight, epsilon = 1e-8) {
    const address = this.reserve(18 * 4 + 16);
    new Uint32Array(wseg.memory.buffer, address, 18).set([...dilations, ...Array(16 - dilations.length).fill(0), dilations.length, iterations]);
    new Float64Array(wseg.memory.buffer, address + 72, 2).set([sigmaWeight, epsilon]);
    return address;
  }

  /** The address of a WsegCrf: a size, and doubles at multiples of 8. */
  crf(iterations, numbers) {
    const address = this.reserve(8 + 6 * 8);
    new Uint32Array(wseg.memory.buffer, address, 1).set([iterations]);
    new Float64Array(wseg.memory.buffer, address + 8, 6).set(numbers);
    return address;
  }

  /** The address of a WsegPooling. */
  doubles(values) {
    const address = this.reserve(values.length * 8);
    new Float64Array(wseg.memory.buffer, address, values.length).set(values);
    return address;
  }

  reserve(bytes) {
    const address = wseg.wseg_wasm_allocate(bytes) >>> 0;
    if (address === 0) throw new Error(`no memory for ${bytes} bytes`);
    Memory.pieces.push(address);
    return address;
  }

  read(address, count) {
    return Array.from(new Float32Array(wseg.memory.buffer, address, count));
  }
}

/** A golden file: arrays by name, parameters by name. */
function golden(name) {
  const bytes = readFileSync(join(fixtures, `${name}.safetensors`));
  const header = Number(bytes.readBigUInt64LE(0));
  const entries = JSON.parse(bytes.subarray(8, 8 + header));
  const array = (key) => {
    const { dtype, shape, data_offsets: [from, to] } = entries[key];
    const data = bytes.subarray(8 + header + from, 8 + header + to);
    const [width, read] = { F32: [4, "readFloatLE"], F64: [8, "readDoubleLE"], U8: [1, "readUInt8"] }[dtype];
    const values = Array.from({ length: data.length / width }, (_, i) => data[read](i * width));
    return { shape: [...shape, 1, 1, 1].slice(0, 4), values };
  };
  return { array, number: (key) => JSON.parse(entries.__metadata__[key]) };
}

let failures = 0;
let checks = 0;

/** Compares with the expected output of a file, as a share of its largest value. */
function compare(name, file, output, actual) {
  const expected = file.array(`out.${output}`).values;
  const largest = Math.max(...expected.map(Math.abs));
  if (wrong && checks === 0) expected[0] += 1e-3 * largest;
  checks += 1;
  const error = Math.max(...expected.map((value, i) => Math.abs(value - actual[i]))) / largest;
  const good = actual.length === expected.length && error <= TOLERANCE;
  failures += good ? 0 : 1;
  console.log(`${good ? "ok  " : "FAIL"} ${name} ${output} ${error.toExponential(1)}`);
}

/** Ends the run if a call was refused. */
function done(status) {
  if (status !== 0) throw new Error(`status ${status}`);
}

const product = (extents) => extents.reduce((a, b) => a * b, 1);

for (const name of ["classification_small", "classification_eps0", "classification_saturated"]) {
  const [file, memory] = [golden(name), new Memory()];
  const { shape: [n, c, h, w], values } = file.array("in.logits");
  const shape = memory.shape([n, c, h, w]);
  const pooling = memory.doubles(["epsilon", "p", "lambda", "background"].map(file.number));
  const [logits, labels] = [memory.floats(values.length, values), memory.floats(n * c, file.array("in.labels").values)];
  const [masks, scores] = [memory.floats(n * (c + 1) * h * w), memory.floats(n * c)];
  done(wseg.wseg_classify(shape, logits, pooling, masks, scores, 0, 0));
  compare(name, file, "masks", memory.read(masks, n * (c + 1) * h * w));
  compare(name, file, "scores", memory.read(scores, n * c));
  const [loss, cotangent, gradient] = [memory.floats(1), memory.floats(n * c), memory.floats(values.length)];
  done(wseg.wseg_soft_margin(n * c, scores, labels, loss, cotangent, 0, 0));
  compare(name, file, "loss_cls", memory.read(loss, 1));
  const len = wseg.wseg_class_scores_gradient_scratch(shape);
  done(wseg.wseg_class_scores_gradient(shape, logits, cotangent, pooling, gradient, memory.floats(len), len));
  compare(name, file, "grad_logits", memory.read(gradient, values.length));
}

for (const name of ["pamr_tiny", "pamr_flat", "pamr_small"]) {
  const [file, memory] = [golden(name), new Memory()];
  const [mask, image] = [file.array("in.mask"), file.array("in.image")];
  const [from, guide] = [memory.shape(mask.shape), memory.shape(image.shape)];
  const pamr = memory.pamr(file.number("dilations"), file.number("iterations"), file.number("sigma_weight"));
  const [a, b] = [memory.floats(mask.values.length, mask.values), memory.floats(image.values.length, image.values)];
  const count = product([mask.shape[0], mask.shape[1], image.shape[2], image.shape[3]]);
  const [refined, len] = [memory.floats(count), wseg.wseg_pamr_scratch(from, guide)];
  done(wseg.wseg_pamr(from, a, guide, b, pamr, refined, memory.floats(len), len));
  compare(name, file, "refined", memory.read(refined, count));
}

{
  const [name, memory] = ["pseudo_labels_small", new Memory()];
  const file = golden(name);
  const { shape: extents, values } = file.array("in.masks");
  const [shape, masks, pseudo] = [memory.shape(extents), memory.floats(values.length, values), memory.floats(values.length)];
  const len = wseg.wseg_pseudo_labels_scratch(shape);
  done(wseg.wseg_pseudo_labels(shape, masks, 0, pseudo, memory.floats(len), len));
  compare(name, file, "pseudo", memory.read(pseudo, values.length));
}

{
  const [name, memory] = ["segmentation_loss_small", new Memory()];
  const file = golden(name);
  const [logits, pseudo] = [file.array("in.logits"), file.array("in.pseudo")];
  const [from, to] = [memory.shape(logits.shape), memory.shape(pseudo.shape)];
  const [a, b] = [memory.floats(logits.values.length, logits.values), memory.floats(pseudo.values.length, pseudo.values)];
  const [loss, gradient] = [memory.floats(1), memory.floats(logits.values.length)];
  const len = wseg.wseg_segmentation_loss_scratch(from, to);
  done(wseg.wseg_segmentation_loss(from, a, to, b, loss, gradient, memory.floats(len), len));
  compare(name, file, "loss_seg", memory.read(loss, 1));
  compare(name, file, "grad_logits", memory.read(gradient, logits.values.length));
  const labels = file.array("in.labels").values;
  const c = memory.floats(labels.length, labels);
  done(wseg.wseg_gated_segmentation_loss(from, a, to, b, c, loss, gradient, memory.floats(len), len));
  compare(name, file, "loss_gated_mean", memory.read(loss, 1));
  compare(name, file, "grad_gated_logits", memory.read(gradient, logits.values.length));
}

{
  const [name, memory] = ["stochastic_gate", new Memory()];
  const file = golden(name);
  const [deep, shallow, keep] = ["deep", "shallow", "keep_deep"].map((key) => file.array(`in.${key}`));
  const [shape, count, psi] = [memory.shape(deep.shape), deep.values.length, file.number("psi")];
  const [a, b, c] = [deep, shallow, keep].map(({ values }) => memory.floats(count, values));
  const out = memory.floats(count);
  done(wseg.wseg_stochastic_gate(shape, a, b, c, psi, out, 0, 0));
  compare(name, file, "train", memory.read(out, count));
  done(wseg.wseg_deterministic_gate(shape, a, b, psi, out, 0, 0));
  compare(name, file, "eval", memory.read(out, count));
}

{
  const [name, memory] = ["dense_crf_small", new Memory()];
  const file = golden(name);
  const { shape: [classes, height, width], values } = file.array("in.probs");
  const kernels = ["gaussian_compat", "gaussian_sxy", "bilateral_compat", "bilateral_sxy", "bilateral_srgb"];
  const crf = memory.crf(file.number("iterations"), [...kernels.map(file.number), 1e-5]);
  const [p, image] = [memory.floats(values.length, values), memory.bytes(file.array("in.image").values)];
  const q = memory.floats(values.length);
  done(wseg.wseg_dense_crf(classes, height, width, p, image, crf, q));
  compare(name, file, "q", memory.read(q, values.length));
  const held = wseg.memory.buffer.byteLength;
  for (let again = 0; again < 5; again++) done(wseg.wseg_dense_crf(classes, height, width, p, image, crf, q));
  if (wseg.memory.buffer.byteLength !== held) throw new Error("the call keeps memory");
  if (wseg.wseg_wasm_allocate(0xfff00000) !== 0) throw new Error("memory beyond the address space");
}

console.log(failures === 0 ? `all ${checks} outputs are within ${TOLERANCE}` : `${failures} of ${checks} outputs differ`);
exit(failures === 0 ? 0 : 1);
