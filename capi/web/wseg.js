// The C library as a WebAssembly module, behind one function. The module allocates nothing: its memory beyond
// `__heap_base` is ours, and every call starts there again.

"use strict";

/** Dilations of the paper; a page may take the first few of them. */
const DILATIONS = [1, 2, 4, 8, 12, 24];

/** The library from the bytes of its module. */
async function loadWseg(bytes) {
  const { instance } = await WebAssembly.instantiate(bytes, {});
  const library = instance.exports;
  const text = (address) => {
    const memory = new Uint8Array(library.memory.buffer);
    return new TextDecoder().decode(memory.subarray(address, memory.indexOf(0, address)));
  };

  /**
   * Masks refined along the edges of an image, as a new array.
   *
   * masks: Float32Array [classes, height, width]; image: Float32Array [3, height, width] in 0..1.
   */
  function refine(masks, image, { classes, width, height, dilations, iterations }) {
    let next = library.__heap_base.value;
    const reserve = (bytes) => {
      const address = (next + 15) & ~15;
      next = address + bytes;
      const missing = next - library.memory.buffer.byteLength;
      if (missing > 0) library.memory.grow(Math.ceil(missing / 65536));
      return address;
    };
    const copy = (array) => {
      const address = reserve(array.byteLength);
      new array.constructor(library.memory.buffer, address, array.length).set(array);
      return address;
    };
    // Structures of C, which go by address: WsegShape is four sizes, WsegPamr 18 sizes and two doubles.
    const from = copy(new Uint32Array([1, classes, height, width]));
    const guide = copy(new Uint32Array([1, 3, height, width]));
    const pamr = reserve(18 * 4 + 2 * 8);
    const chosen = DILATIONS.slice(0, dilations);
    new Uint32Array(library.memory.buffer, pamr, 18).set([
      ...Array.from({ length: 16 }, (_, i) => chosen[i] ?? 0),
      chosen.length,
      iterations,
    ]);
    new Float64Array(library.memory.buffer, pamr + 72, 2).set([0.1, 1e-8]);
    const [a, b, refined] = [copy(masks), copy(image), reserve(masks.byteLength)];
    const fast = library.wseg_pamr_scratch_fast(from, guide, pamr) >>> 0;
    const scratch = reserve(fast * 4);
    const status = library.wseg_pamr(from, a, guide, b, pamr, refined, scratch, fast);
    if (status !== 0) throw new Error(text(library.wseg_status_text(status)));
    return new Float32Array(library.memory.buffer, refined, masks.length).slice();
  }

  return { refine, version: text(library.wseg_version()) };
}
