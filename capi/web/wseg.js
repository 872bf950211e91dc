// The C library as a WebAssembly module, behind two functions. The module hands out its memory; every call gives back
// what it took.

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

  /** Calls `work` with what it needs to pass arrays, all of which are given back after it. */
  function call(work) {
    const taken = [];
    const reserve = (bytes) => {
      const address = library.wseg_wasm_allocate(bytes) >>> 0;
      if (address === 0) throw new Error(text(library.wseg_status_text(11)));
      taken.push(address);
      return address;
    };
    // Memory moves when it grows: views are made when they are needed.
    const copy = (array) => {
      const address = reserve(array.byteLength);
      new array.constructor(library.memory.buffer, address, array.length).set(array);
      return address;
    };
    const read = (address, count) => new Float32Array(library.memory.buffer, address, count).slice();
    const check = (status) => {
      if (status !== 0) throw new Error(text(library.wseg_status_text(status)));
    };
    try {
      return work({ reserve, copy, read, check });
    } finally {
      taken.forEach((address) => library.wseg_wasm_release(address));
    }
  }

  /** A structure of so many sizes and then doubles. */
  function structure(sizes, doubles) {
    const start = Math.ceil(sizes.length / 2) * 8;
    const bytes = new Uint8Array(start + 8 * doubles.length);
    new Uint32Array(bytes.buffer, 0, sizes.length).set(sizes);
    new Float64Array(bytes.buffer, start, doubles.length).set(doubles);
    return bytes;
  }

  /**
   * Masks refined along the edges of an image by PAMR, as a new array.
   *
   * masks: Float32Array [classes, height, width]; image: Float32Array [3, height, width] in 0..1.
   */
  function refine(masks, image, { classes, width, height, dilations, iterations }) {
    return call(({ reserve, copy, read, check }) => {
      // Structures of C go by address: WsegShape is four sizes, WsegPamr 18 sizes and two doubles.
      const [from, guide] = [classes, 3].map((channels) => copy(new Uint32Array([1, channels, height, width])));
      const chosen = DILATIONS.slice(0, dilations);
      const all = Array.from({ length: 16 }, (_, i) => chosen[i] ?? 0);
      const pamr = copy(structure([...all, chosen.length, iterations], [0.1, 1e-8]));
      const [a, b, refined] = [copy(masks), copy(image), reserve(masks.byteLength)];
      const fast = library.wseg_pamr_scratch_fast(from, guide, pamr) >>> 0;
      const scratch = reserve(fast * 4);
      check(library.wseg_pamr(from, a, guide, b, pamr, refined, scratch, fast));
      return read(refined, masks.length);
    });
  }

  /**
   * Probabilities refined by the dense CRF, as a new array; the constants' names are pydensecrf's.
   *
   * probabilities: Float32Array [classes, height, width]; photo: Uint8Array [height, width, 3].
   */
  function denseCrf(probabilities, photo, { classes, width, height, iterations, gaussian, bilateral }) {
    return call(({ reserve, copy, read, check }) => {
      const numbers = [gaussian.compat, gaussian.sxy, bilateral.compat, bilateral.sxy, bilateral.srgb, 1e-5];
      const crf = copy(structure([iterations], numbers));
      const [p, image, refined] = [copy(probabilities), copy(photo), reserve(probabilities.byteLength)];
      check(library.wseg_dense_crf(classes, height, width, p, image, crf, refined));
      return read(refined, probabilities.length);
    });
  }

  return { refine, denseCrf, version: text(library.wseg_version()) };
}
