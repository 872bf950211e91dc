// Elementwise functions of one tensor, with gradients that stay finite wherever the gradient that arrives is 0.
// `ops/unary.rs` is the same on the CPU.
#include "element.cuh"

namespace {

// A function of x, and its gradient from x, its value y and the gradient dy of that.
struct Relu {
    // Asked this way round, a NaN is not hidden.
    template <typename R> static __device__ R value(R x, double) { return x <= R(0) ? R(0) : x; }
    template <typename R> static __device__ R gradient(R, R y, R dy, double) { return y > R(0) ? dy : R(0); }
};

struct Exp {
    template <typename R> static __device__ R value(R x, double) { return exp(x); }
    template <typename R> static __device__ R gradient(R, R y, R dy, double) { return dy == R(0) ? R(0) : dy * y; }
};

struct Ln {
    template <typename R> static __device__ R value(R x, double) { return log(x); }
    template <typename R> static __device__ R gradient(R x, R, R dy, double) { return dy == R(0) ? R(0) : dy / x; }
};

struct Sqrt {
    template <typename R> static __device__ R value(R x, double) { return sqrt(x); }
    template <typename R> static __device__ R gradient(R, R y, R dy, double) {
        return y > R(0) ? R(0.5) * dy / y : R(0);
    }
};

struct Abs {
    template <typename R> static __device__ R value(R x, double) { return fabs(x); }
    template <typename R> static __device__ R gradient(R x, R, R dy, double) {
        return x == R(0) ? R(0) : x < R(0) ? -dy : dy;
    }
};

struct Powf {
    template <typename R> static __device__ R value(R x, double exponent) { return pow(x, R(exponent)); }
    template <typename R> static __device__ R gradient(R x, R, R dy, double exponent) {
        if (exponent == 0.0 || dy == R(0)) return R(0);
        return exponent == 1.0 ? dy : dy * R(exponent) * pow(x, R(exponent - 1.0));
    }
};

template <typename F, typename T>
__device__ void forward(const T* x, T* y, long long count, double exponent) {
    for (long long i = first_index(); i < count; i += index_step()) y[i] = store<T>(F::value(load(x[i]), exponent));
}

template <typename F, typename T>
__device__ void backward(const T* x, const T* y, const T* dy, T* dx, long long count, double exponent) {
    for (long long i = first_index(); i < count; i += index_step())
        dx[i] = store<T>(F::gradient(load(x[i]), load(y[i]), load(dy[i]), exponent));
}

} // namespace

#define FUNCTION(F, name, T, suffix)                                                                                   \
    extern "C" __global__ void name##_##suffix(const T* x, T* y, long long count, double exponent) {                   \
        forward<F>(x, y, count, exponent);                                                                             \
    }                                                                                                                  \
    extern "C" __global__ void name##_gradient_##suffix(const T* x, const T* y, const T* dy, T* dx, long long count,   \
                                                        double exponent) {                                             \
        backward<F>(x, y, dy, dx, count, exponent);                                                                    \
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
FUNCTIONS(__nv_bfloat16, bf16)
