// Softmax and log-softmax over channels: a thread does a pixel. `ops/softmax.rs` is the same on the CPU.
#include "device.cuh"

namespace softmax {

struct Plain {
    template <typename R> static DEVICE R prepared(R total) { return R(1) / total; }
    template <typename R> static DEVICE R value(R x, R peak, R factor) { return exponential(x - peak) * factor; }
    template <typename R> static DEVICE R summed(R y, R d) { return y * d; }
    template <typename R> static DEVICE R gradient(R y, R d, R total) { return y * (d - total); }
};

struct Logarithm {
    template <typename R> static DEVICE R prepared(R total) { return logarithm(total); }
    // In this order: the peak may be large, the logarithm is small.
    template <typename R> static DEVICE R value(R x, R peak, R log) { return (x - peak) - log; }
    template <typename R> static DEVICE R summed(R, R d) { return d; }
    template <typename R> static DEVICE R gradient(R y, R d, R total) { return d - exponential(y) * total; }
};

// Where the first channel of pixel `i`, counted through all images, lies.
DEVICE long long start_of(long long i, int channels, int pixels) {
    int image = int(i) / pixels;
    return i + (long long)image * (channels - 1) * pixels;
}

template <typename F, typename R> DEVICE void forward(In<R> x, Out<R> y, int count, int channels, int pixels) {
    for (long long i = first_index(); i < count; i += index_step()) {
        long long start = start_of(i, channels, pixels);
        R peak = x[start];
        for (int c = 1; c < channels; ++c) peak = larger(peak, R(x[start + (long long)c * pixels]), false);
        R total = 0;
        for (int c = 0; c < channels; ++c) total += exponential(x[start + (long long)c * pixels] - peak);
        R factor = F::prepared(total);
        for (int c = 0; c < channels; ++c) {
            long long at = start + (long long)c * pixels;
            y[at] = F::value(R(x[at]), peak, factor);
        }
    }
}

template <typename F, typename R>
DEVICE void backward(In<R> y, In<R> dy, Out<R> dx, int count, int channels, int pixels) {
    for (long long i = first_index(); i < count; i += index_step()) {
        long long start = start_of(i, channels, pixels);
        R total = 0;
        for (int c = 0; c < channels; ++c) {
            long long at = start + (long long)c * pixels;
            total += F::summed(R(y[at]), R(dy[at]));
        }
        for (int c = 0; c < channels; ++c) {
            long long at = start + (long long)c * pixels;
            dx[at] = F::gradient(R(y[at]), R(dy[at]), total);
        }
    }
}

} // namespace softmax

#define FUNCTION(F, name, R, suffix)                                                                                   \
    KERNEL(THREADS, name##_##suffix, In<R> x, Out<R> y, int count, int channels, int pixels) {                         \
        softmax::forward<softmax::F, R>(x, y, count, channels, pixels);                                                \
    }                                                                                                                  \
    KERNEL(THREADS, name##_gradient_##suffix, In<R> y, In<R> dy, Out<R> dx, int count, int channels, int pixels) {     \
        softmax::backward<softmax::F, R>(y, dy, dx, count, channels, pixels);                                          \
    }

#define FUNCTIONS(R, suffix)                                                                                           \
    FUNCTION(Plain, softmax, R, suffix)                                                                                \
    FUNCTION(Logarithm, log_softmax, R, suffix)

FUNCTIONS(float, f32)
FUNCTIONS(double, f64)
#undef FUNCTIONS
#undef FUNCTION
