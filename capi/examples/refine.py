"""Refines the rough mask of a disc from Python, without any package: sh capi/examples/run.sh python

With numpy installed the arrays are numpy's, else the standard library's; the library sees the same memory either way.
The picture and the rough mask are those of refine.c. Usage: refine.py LIBRARY"""

import ctypes
import sys
from array import array

try:
    import numpy
except ImportError:
    numpy = None

SIZE, CELL = 64, 4
CELLS, PIXELS = SIZE // CELL, SIZE * SIZE


class Shape(ctypes.Structure):
    """WsegShape: samples, channels, rows, columns."""

    _fields_ = [(name, ctypes.c_size_t) for name in "nchw"]


def load(path):
    """The library, with the argument types of the functions used here."""
    library = ctypes.CDLL(path)
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    library.wseg_pamr_scratch.argtypes = [Shape, Shape]
    library.wseg_pamr_scratch.restype = size
    library.wseg_pamr.argtypes = [Shape, pointer, Shape, pointer, pointer, pointer, pointer, size]
    library.wseg_status_text.restype = ctypes.c_char_p
    return library


def floats(values):
    """An array of 32-bit floats."""
    return numpy.array(list(values), dtype=numpy.float32) if numpy else array("f", values)


def address(values):
    """Where the elements of an array lie."""
    return values.ctypes.data if numpy else values.buffer_info()[0]


def in_disc(y, x):
    return (y - 30.0) ** 2 + (x - 34.0) ** 2 < 19.0**2


def picture():
    """A reddish disc before blue, `[3, SIZE, SIZE]`."""
    for disc, ground in [(0.85, 0.2), (0.35, 0.4), (0.2, 0.75)]:
        for i in range(PIXELS):
            yield disc if in_disc(i // SIZE, i % SIZE) else ground


def guess():
    """Background and disc in cells, `[2, CELLS, CELLS]`."""
    inside = [in_disc((i // CELLS + 0.5) * CELL, (i % CELLS + 0.5) * CELL) for i in range(CELLS * CELLS)]
    return [0.2 if cell else 0.8 for cell in inside] + [0.8 if cell else 0.2 for cell in inside]


def overlap(claimed):
    """Intersection over union with the disc of the pixels for which `claimed` holds."""
    both = either = 0
    for i in range(PIXELS):
        y, x = divmod(i, SIZE)
        one, other = claimed(y, x), in_disc(y, x)
        both += one and other
        either += one or other
    return both / either


def refine(library, masks_shape, masks, image_shape, image):
    """Masks refined by the paper's constants."""
    count = masks_shape.n * masks_shape.c * image_shape.h * image_shape.w
    refined = floats(0.0 for _ in range(count))
    needed = library.wseg_pamr_scratch(masks_shape, image_shape)
    scratch = floats(0.0 for _ in range(needed))
    arguments = [masks_shape, address(masks), image_shape, address(image), None, address(refined)]
    status = library.wseg_pamr(*arguments, address(scratch), needed)
    if status != 0:
        raise RuntimeError(library.wseg_status_text(status).decode())
    # Too little memory is refused.
    assert library.wseg_pamr(*arguments, address(scratch), needed - 1) == 6
    return refined


def main():
    library = load(sys.argv[1])
    masks, image = floats(guess()), floats(picture())
    refined = refine(library, Shape(1, 2, CELLS, CELLS), masks, Shape(1, 3, SIZE, SIZE), image)
    before = overlap(lambda y, x: masks[CELLS * CELLS + y // CELL * CELLS + x // CELL] > 0.5)
    after = overlap(lambda y, x: refined[PIXELS + y * SIZE + x] > 0.5)
    print(f"{'numpy' if numpy else 'array'}: overlap {before:.3f} before, {after:.3f} after")
    return 0 if after > before else 1


if __name__ == "__main__":
    sys.exit(main())
