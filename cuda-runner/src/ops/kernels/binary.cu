// Elementwise functions of two tensors that broadcast, and their gradients. `ops/binary.rs` is the same on the CPU.
#include "device.cuh"

namespace binary {

// A function of a and b, and the gradient of either from a, b and the gradient d of the value.
struct Add {
    template <typename R> static DEVICE R value(R a, R b) { return a + b; }
    template <typename R> static DEVICE R for_a(R, R, R d) { return d; }
    template <typename R> static DEVICE R for_b(R, R, R d) { return d; }
};

struct Sub {
    template <typename R> static DEVICE R value(R a, R b) { return a - b; }
    template <typename R> static DEVICE R for_a(R, R, R d) { return d; }
    template <typename R> static DEVICE R for_b(R, R, R d) { return -d; }
};

struct Mul {
    template <typename R> static DEVICE R value(R a, R b) { return a * b; }
    template <typename R> static DEVICE R for_a(R, R b, R d) { return d * b; }
    template <typename R> static DEVICE R for_b(R a, R, R d) { return d * a; }
};

struct Div {
    template <typename R> static DEVICE R value(R a, R b) { return a / b; }
    template <typename R> static DEVICE R for_a(R, R b, R d) { return d / b; }
    template <typename R> static DEVICE R for_b(R a, R b, R d) { return -(d * (a / b) / b); }
};

struct Maximum {
    template <typename R> static DEVICE R value(R a, R b) { return a > b ? a : b; }
    template <typename R> static DEVICE R for_a(R a, R b, R d) { return a > b ? d : a == b ? R(0.5) * d : R(0); }
    template <typename R> static DEVICE R for_b(R a, R b, R d) { return a == b ? R(0.5) * d : a > b ? R(0) : d; }
};

struct Greater {
    template <typename R> static DEVICE R value(R a, R b) { return a > b ? R(1) : R(0); }
    template <typename R> static DEVICE R for_a(R, R, R) { return R(0); }
    template <typename R> static DEVICE R for_b(R, R, R) { return R(0); }
};

// Four extents, outermost first, and how far apart an operand's elements lie along each: 0 where it repeats one.
struct Walk {
    int extent[4], a[4], b[4], y[4];
};

struct At {
    int a, b, y;
};

// Where element `index` of the walk lies in the operands.
DEVICE At locate(const Walk &walk, int index) {
    At at = {0, 0, 0};
#pragma unroll
    for (int axis = 3; axis >= 0; --axis) {
        int position = index;
        // The outermost axis has what is left; an axis of one element costs no division.
        if (axis > 0 && walk.extent[axis] > 1) {
            position = index % walk.extent[axis];
            index /= walk.extent[axis];
        } else if (axis > 0) {
            position = 0;
        }
        at.a += position * walk.a[axis];
        at.b += position * walk.b[axis];
        at.y += position * walk.y[axis];
    }
    return at;
}

template <typename F, typename T> DEVICE void forward(In<T> a, In<T> b, Out<T> y, int count, const Walk &walk) {
    for (long long i = first_index(); i < count; i += index_step()) {
        At at = locate(walk, int(i));
        y[i] = narrow<T>(F::value(wide(a[at.a]), wide(b[at.b])));
    }
}

// The gradient of one operand: each of its elements (walk `kept`) sums what the outputs it took part in (walk
// `summed`) give it.
template <typename F, typename T, bool FOR_A>
DEVICE real<T> term(In<T> a, In<T> b, In<T> dy, At at) {
    real<T> left = wide(a[at.a]), right = wide(b[at.b]), d = wide(dy[at.y]);
    return FOR_A ? F::for_a(left, right, d) : F::for_b(left, right, d);
}

DEVICE At operator+(At x, At y) { return {x.a + y.a, x.b + y.b, x.y + y.y}; }

// One thread for each element of the operand.
template <typename F, typename T, bool FOR_A>
DEVICE void gradient(In<T> a, In<T> b, In<T> dy, Out<T> result, int count, int terms, const Walk &kept,
                     const Walk &summed) {
    for (long long i = first_index(); i < count; i += index_step()) {
        At start = locate(kept, int(i));
        real<T> sum = 0;
        for (int k = 0; k < terms; ++k) sum += term<F, T, FOR_A>(a, b, dy, start + locate(summed, k));
        result[i] = narrow<T>(sum);
    }
}

// One block for each element of the operand.
template <typename F, typename T, bool FOR_A>
DEVICE void reduction(In<T> a, In<T> b, In<T> dy, Out<T> result, int terms, const Walk &kept, const Walk &summed) {
    At start = locate(kept, int(blockIdx.x));
    real<T> sum = 0;
    for (int k = threadIdx.x; k < terms; k += blockDim.x)
        sum += term<F, T, FOR_A>(a, b, dy, start + locate(summed, k));
    double total = block_sum(double(sum));
    if (threadIdx.x == 0) result[blockIdx.x] = narrow<T>(real<T>(total));
}

// A walk as arguments: `Walk::arguments` in binary.rs.
#define WALK(name)                                                                                                     \
    int name##_0, int name##_1, int name##_2, int name##_3, int name##_a0, int name##_a1, int name##_a2,               \
        int name##_a3, int name##_b0, int name##_b1, int name##_b2, int name##_b3, int name##_y0, int name##_y1,       \
        int name##_y2, int name##_y3
#define TAKE(name)                                                                                                     \
    binary::Walk {                                                                                                     \
        {name##_0, name##_1, name##_2, name##_3}, {name##_a0, name##_a1, name##_a2, name##_a3},                        \
            {name##_b0, name##_b1, name##_b2, name##_b3}, {name##_y0, name##_y1, name##_y2, name##_y3}                 \
    }

} // namespace binary

#define FUNCTION(F, name, T, suffix)                                                                                   \
    KERNEL(THREADS, name##_##suffix, In<T> a, In<T> b, Out<T> y, int count, WALK(walk)) {                              \
        binary::forward<binary::F, T>(a, b, y, count, TAKE(walk));                                                     \
    }                                                                                                                  \
    KERNEL(THREADS, name##_gradient_a_##suffix, In<T> a, In<T> b, In<T> dy, Out<T> result, int count, int terms,       \
           WALK(kept), WALK(summed)) {                                                                                 \
        binary::gradient<binary::F, T, true>(a, b, dy, result, count, terms, TAKE(kept), TAKE(summed));                \
    }                                                                                                                  \
    KERNEL(THREADS, name##_gradient_b_##suffix, In<T> a, In<T> b, In<T> dy, Out<T> result, int count, int terms,       \
           WALK(kept), WALK(summed)) {                                                                                 \
        binary::gradient<binary::F, T, false>(a, b, dy, result, count, terms, TAKE(kept), TAKE(summed));               \
    }                                                                                                                  \
    KERNEL(THREADS, name##_reduction_a_##suffix, In<T> a, In<T> b, In<T> dy, Out<T> result, int terms, WALK(kept),     \
           WALK(summed)) {                                                                                             \
        binary::reduction<binary::F, T, true>(a, b, dy, result, terms, TAKE(kept), TAKE(summed));                      \
    }                                                                                                                  \
    KERNEL(THREADS, name##_reduction_b_##suffix, In<T> a, In<T> b, In<T> dy, Out<T> result, int terms, WALK(kept),     \
           WALK(summed)) {                                                                                             \
        binary::reduction<binary::F, T, false>(a, b, dy, result, terms, TAKE(kept), TAKE(summed));                     \
    }

#define FUNCTIONS(T, suffix)                                                                                           \
    FUNCTION(Add, add, T, suffix)                                                                                      \
    FUNCTION(Sub, sub, T, suffix)                                                                                      \
    FUNCTION(Mul, mul, T, suffix)                                                                                      \
    FUNCTION(Div, div, T, suffix)                                                                                      \
    FUNCTION(Maximum, maximum, T, suffix)                                                                              \
    FUNCTION(Greater, gt, T, suffix)

FUNCTIONS(float, f32)
FUNCTIONS(double, f64)
FUNCTIONS(bf16, bf16)
#undef FUNCTIONS
#undef FUNCTION
#undef WALK
#undef TAKE
