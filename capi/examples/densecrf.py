"""The dense CRF on numpy arrays, with the names of pydensecrf: sh capi/examples/run.sh python-crf

As a module it takes pydensecrf's place:

    import densecrf as dcrf                 # was: import pydensecrf.densecrf as dcrf
    dcrf.load("target/capi/libwseg_c.so")
    d = dcrf.DenseCRF2D(width, height, classes)
    d.setUnaryEnergy(dcrf.unary_from_softmax(probabilities))
    d.addPairwiseGaussian(sxy=3, compat=3)
    d.addPairwiseBilateral(sxy=80, srgb=13, rgbim=image, compat=10)
    q = numpy.array(d.inference(10)).reshape(classes, height, width)

One Gaussian and one bilateral term, Potts' compatibility (a number), the symmetric normalisation and diagonal kernels
that are pydensecrf's defaults. As a program it checks itself: densecrf.py LIBRARY FIXTURES."""

import ctypes
import json
import sys
from pathlib import Path

import numpy

_library = None

# Energies beyond this, above a pixel's lowest, are taken for it: e to minus it is the smallest probability there is.
_MOST_ENERGY = 69.0


class Crf(ctypes.Structure):
    """WsegCrf."""

    _fields_ = [("iterations", ctypes.c_size_t)] + [
        (name, ctypes.c_double)
        for name in ["gaussian_compat", "gaussian_sxy", "bilateral_compat", "bilateral_sxy", "bilateral_srgb", "floor"]
    ]


def load(path):
    """Takes the C library from a file; it must have been built with the feature crf."""
    global _library
    _library = ctypes.CDLL(str(path))
    pointer, size = ctypes.c_void_p, ctypes.c_size_t
    _library.wseg_crf_default.argtypes = [ctypes.POINTER(Crf)]
    _library.wseg_dense_crf.argtypes = [size, size, size, pointer, pointer, ctypes.POINTER(Crf), pointer]
    _library.wseg_status_text.restype = ctypes.c_char_p


def unary_from_softmax(sm, scale=None, clip=1e-5):
    """Energies [classes, pixels] of probabilities [classes, ...]: with a scale mixed with equal ones, then clipped."""
    sm = numpy.asarray(sm, dtype=numpy.float64)
    if scale is not None:
        sm = scale * sm + (1 - scale) / len(sm)
    if clip is not None:
        sm = sm.clip(clip, 1)
    return -numpy.log(sm).reshape(len(sm), -1).astype(numpy.float32)


def unary_from_labels(labels, n_labels, gt_prob, zero_unsure=True):
    """Energies [n_labels, pixels] of labels that are right with probability gt_prob. With zero_unsure, label 0 says
    nothing and label k stands for class k - 1."""
    if not 0 < gt_prob < 1:
        raise ValueError(f"gt_prob is {gt_prob}, but must be between 0 and 1")
    labels = numpy.asarray(labels).reshape(-1).astype(numpy.int64)
    classes = labels - 1 if zero_unsure else labels
    lowest = -1 if zero_unsure else 0
    if len(classes) and not (lowest <= classes.min() and classes.max() < n_labels):
        raise ValueError(f"labels from {labels.min()} to {labels.max()} do not go with {n_labels} classes")
    other = (1 - gt_prob) / max(n_labels - 1, 1)
    right = classes[None, :] == numpy.arange(n_labels)[:, None]
    p = numpy.where(right, gt_prob, other)
    p[:, classes < 0] = 1 / n_labels
    return -numpy.log(p).astype(numpy.float32)


def _number(name, value):
    """A deviation; pydensecrf takes one for each axis, which here have to be the same."""
    values = numpy.unique(numpy.asarray(value, dtype=numpy.float64))
    if len(values) != 1:
        raise ValueError(f"{name} is {value}: different deviations of the axes are not supported")
    return float(values[0])


def _compat(value):
    if numpy.ndim(value) != 0:
        raise ValueError("compat has to be a number, the weight of Potts' model")
    return float(value)


class DenseCRF2D:
    """pydensecrf's class of that name."""

    def __init__(self, w, h, n):
        if _library is None:
            raise RuntimeError("load the library first: densecrf.load(PATH)")
        self.shape = (int(n), int(h), int(w))
        self.energy = self.image = None
        self.crf = Crf()
        _library.wseg_crf_default(self.crf)
        self.crf.gaussian_compat = self.crf.bilateral_compat = 0.0
        self.crf.floor = float(numpy.exp(-_MOST_ENERGY))

    def setUnaryEnergy(self, u):
        """Energies [classes, pixels] or [classes, height, width]."""
        u = numpy.asarray(u, dtype=numpy.float64)
        if u.size != numpy.prod(self.shape) or u.shape[0] != self.shape[0]:
            raise ValueError(f"energies of shape {u.shape} do not go with {self.shape}")
        self.energy = u.reshape(self.shape)

    def addPairwiseGaussian(self, sxy, compat):
        """The Gaussian term: deviation of positions in pixels, weight."""
        if self.crf.gaussian_compat:
            raise ValueError("there is a Gaussian term already")
        self.crf.gaussian_sxy, self.crf.gaussian_compat = _number("sxy", sxy), _compat(compat)

    def addPairwiseBilateral(self, sxy, srgb, rgbim, compat):
        """The bilateral term: deviations of positions in pixels and of colours in grey levels, photo [height, width, 3]
        of uint8, weight."""
        if self.crf.bilateral_compat:
            raise ValueError("there is a bilateral term already")
        image = numpy.ascontiguousarray(rgbim)
        if image.shape != (*self.shape[1:], 3) or image.dtype != numpy.uint8:
            raise ValueError(f"a photo {image.shape} of {image.dtype}, needed {(*self.shape[1:], 3)} of uint8")
        self.crf.bilateral_sxy, self.crf.bilateral_srgb = _number("sxy", sxy), _number("srgb", srgb)
        self.crf.bilateral_compat, self.image = _compat(compat), image

    def inference(self, n_iterations):
        """Probabilities [classes, pixels] after so many iterations."""
        if self.energy is None:
            raise ValueError("the unary energy comes first: setUnaryEnergy")
        if n_iterations < 0:
            raise ValueError(f"{n_iterations} iterations")
        classes, height, width = self.shape
        self.crf.iterations = n_iterations
        # What all classes of a pixel have in common does not matter.
        energy = self.energy - self.energy.min(axis=0)
        probabilities = numpy.ascontiguousarray(numpy.exp(-energy), dtype=numpy.float32)
        image = numpy.zeros((height, width, 3), numpy.uint8) if self.image is None else self.image
        q = numpy.empty(self.shape, numpy.float32)
        arrays = [array.ctypes.data for array in (probabilities, image)]
        status = _library.wseg_dense_crf(classes, height, width, *arrays, self.crf, q.ctypes.data)
        if status != 0:
            raise RuntimeError(_library.wseg_status_text(status).decode())
        return q.reshape(classes, -1)


def _golden(path):
    """Arrays and parameters of a golden file."""
    data = Path(path).read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    entries = json.loads(data[8:end])
    parameters = {key: json.loads(value) for key, value in entries.pop("__metadata__").items() if key != "op"}
    types = {"F32": "<f4", "F64": "<f8", "U8": "u1"}
    arrays = {}
    for name, entry in entries.items():
        start, stop = (end + offset for offset in entry["data_offsets"])
        arrays[name] = numpy.frombuffer(data[start:stop], types[entry["dtype"]]).reshape(entry["shape"])
    return arrays, parameters


def _check_golden(name, path):
    """pydensecrf's own result. Both compute the same lattice in 32 bits and differ by its rounding, which mean field
    amplifies where two classes are about equally likely: hence 1e-3, and the class of 99.9 % of the pixels."""
    arrays, with_ = _golden(path)
    p, expected = arrays["in.probs"], arrays["out.q"]
    classes, height, width = p.shape
    d = DenseCRF2D(width, height, classes)
    d.setUnaryEnergy(unary_from_softmax(p))
    d.addPairwiseGaussian(sxy=with_["gaussian_sxy"], compat=with_["gaussian_compat"])
    d.addPairwiseBilateral(
        sxy=(with_["bilateral_sxy"],) * 2,
        srgb=(with_["bilateral_srgb"],) * 3,
        rgbim=arrays["in.image"],
        compat=with_["bilateral_compat"],
    )
    q = d.inference(with_["iterations"]).reshape(p.shape)
    error, same = abs(q - expected).max(), (q.argmax(0) == expected.argmax(0)).mean()
    good = bool(error <= 1e-3 and same >= 0.999)
    print(f"{'ok  ' if good else 'FAIL'} {name}: off by {error:.1e}, {100 * same:.2f} % of the classes")
    return good


def _check_labels():
    """A disc, of which a tenth of the labels are wrong and a tenth are missing."""
    size, random = 64, numpy.random.default_rng(1)
    y, x = numpy.mgrid[:size, :size]
    disc = ((y - 30) ** 2 + (x - 34) ** 2 < 19**2).astype(int)
    image = numpy.where(disc[..., None], [217, 89, 51], [51, 102, 191]) + random.integers(-12, 12, (size, size, 3))
    labels, noise = disc + 1, random.random((size, size))
    labels[noise < 0.1] = 3 - labels[noise < 0.1]
    labels[noise > 0.9] = 0
    d = DenseCRF2D(size, size, 2)
    d.setUnaryEnergy(unary_from_labels(labels, 2, gt_prob=0.7))
    d.addPairwiseGaussian(sxy=3, compat=3)
    d.addPairwiseBilateral(sxy=80, srgb=13, rgbim=image.astype(numpy.uint8), compat=10)
    found = d.inference(10).argmax(0).reshape(disc.shape)
    before, after = (labels == disc + 1).mean(), (found == disc).mean()
    good = bool(before < 0.85 and after > 0.995)
    print(f"{'ok  ' if good else 'FAIL'} labels: {100 * before:.1f} % right before, {100 * after:.1f} % after")
    return good


def _check_mistakes():
    """What cannot be used is said."""
    d = DenseCRF2D(4, 3, 2)
    mistakes = [
        lambda: d.setUnaryEnergy(numpy.zeros((2, 11))),
        lambda: d.addPairwiseGaussian(sxy=(1, 2), compat=3),
        lambda: d.addPairwiseBilateral(sxy=80, srgb=13, rgbim=numpy.zeros((3, 4, 3)), compat=10),
        lambda: d.addPairwiseGaussian(sxy=3, compat=numpy.eye(2)),
        lambda: d.inference(5),
        lambda: unary_from_labels(numpy.array([0, 3]), 2, 0.7),
    ]
    told = 0
    for mistake in mistakes:
        try:
            mistake()
        except ValueError:
            told += 1
    try:
        d.setUnaryEnergy(numpy.full((2, 12), numpy.nan))
        d.inference(5)
    except RuntimeError as error:
        told += "NaN" in str(error)
    good = told == len(mistakes) + 1
    print(f"{'ok  ' if good else 'FAIL'} mistakes: {told} of {len(mistakes) + 1} are told")
    return good


def main():
    load(sys.argv[1])
    fixtures = Path(sys.argv[2])
    checks = [_check_golden(name, fixtures / f"{name}.safetensors") for name in ["dense_crf_small", "dense_crf_voc"]]
    return 0 if all([*checks, _check_labels(), _check_mistakes()]) else 1


if __name__ == "__main__":
    sys.exit(main())
