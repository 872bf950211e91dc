// Elementwise functions of one tensor, with gradients that stay finite wherever the gradient that arrives is 0.
// `ops/unary.rs` is the same on the CPU.
#include "device.cuh"

namespace unary {

// A function of x, and its gradient from x, its value y and the gradient dy of that.
struct Relu {
    // Asked this way round, a NaN is not hidden.
    template <typename R> static DEVICE R value(R x, R) { return x <= R(0) ? R(0) : x; }
    template <typename R> static DEVICE R gradient(R, R y, R dy, R) { return y > R(0) ? dy : R(0); }
};

struct Exp {
    template <typename R> static DEVICE R value(R x, R) { return exponential(x); }
    template <typename R> static DEVICE R gradient(R, R y, R dy, R) { return dy == R(0) ? R(0) : dy * y; }
};

struct Ln {
    template <typename R> static DEVICE R value(R x, R) { return logarithm(x); }
    template <typename R> static DEVICE R gradient(R x, R, R dy, R) { return dy == R(0) ? R(0) : dy / x; }
};

struct Sqrt {
    template <typename R> static DEVICE R value(R x, R) { return root(x); }
    template <typename R> static DEVICE R gradient(R, R y, R dy, R) { return y > R(0) ? R(0.5) * dy / y : R(0); }
};

struct Abs {
    template <typename R> static DEVICE R value(R x, R) { return magnitude(x); }
    template <typename R> static DEVICE R gradient(R x, R, R dy, R) { return x == R(0) ? R(0) : x < R(0) ? -dy : dy; }
};

struct Powf {
    template <typename R> static DEVICE R value(R x, R exponent) { return power(x, exponent); }
    template <typename R> static DEVICE R gradient(R x, R, R dy, R exponent) {
        if (exponent == R(0) || dy == R(0)) return R(0);
        return exponent == R(1) ? dy : dy * exponent * power(x, exponent - R(1));
    }
};

template <typename F, typename T> DEVICE void forward(In<T> x, Out<T> y, long long count, double exponent) {
    real<T> power = real<T>(exponent);
// A double of these functions takes too many registers for four at once.
#pragma unroll(sizeof(T) > 4 ? 1 : 4)
    for (long long i = first_index(); i < count; i += index_step()) y[i] = narrow<T>(F::value(wide(x[i]), power));
}

template <typename F, typename T>
DEVICE void backward(In<T> x, In<T> y, In<T> dy, Out<T> dx, long long count, double exponent) {
    real<T> power = real<T>(exponent);
#pragma unroll(sizeof(T) > 4 ? 1 : 4)
    for (long long i = first_index(); i < count; i += index_step())
        dx[i] = narrow<T>(F::gradient(wide(x[i]), wide(y[i]), wide(dy[i]), power));
}

} // namespace unary

#define FUNCTION(F, name, T, suffix)                                                                                   \
    KERNEL(THREADS, name##_##suffix, In<T> x, Out<T> y, long long count, double exponent) {                            \
        unary::forward<unary::F, T>(x, y, count, exponent);                                                            \
    }                                                                                                                  \
    KERNEL(THREADS, name##_gradient_##suffix, In<T> x, In<T> y, In<T> dy, Out<T> dx, long long count,                  \
           double exponent) {                                                                                          \
        unary::backward<unary::F, T>(x, y, dy, dx, count, exponent);                                                   \
    }

#define FUNCTIONS(T, suffix)                                                                                           \
    FUNCTION(Relu, relu, T, suffix)                                                                                    \
    FUNCTION(Exp, exp, T, suffix)                                                                                      \
    FUNCTION(Ln, ln, T, suffix)                                                                                        \
    FUNCTION(Sqrt, sqrt, T, suffix)                                                                                    \
    FUNCTION(Abs, abs, T, suffix)                                                                                      \
    FUNCTION(Powf, powf, T, suffix)

FUNCTIONS(float, f32)
FUNCTIONS(double, f64)
FUNCTIONS(bf16, bf16)
#undef FUNCTIONS
#undef FUNCTION
