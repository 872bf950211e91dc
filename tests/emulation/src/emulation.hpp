// CUDA, as far as the kernels use it, on one thread of a CPU.
//
// Pointers and shared memory check every access: that it is inside, that what is read has been written, and that no
// two threads get in each other's way, whatever the order in which a GPU would run them. Barriers check that every
// thread of a block comes to the same one, shuffles that every lane of a warp does.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>

struct bf16;

namespace emulation {

struct Index {
    unsigned x, y, z;
};

// Of the thread that runs.
extern thread_local Index thread, block, block_size, grid_size;

// Ends the launch with a sentence.
[[noreturn]] void fail(const char *format, ...);

// The number of the thread in its launch, from 1 on.
uint32_t self();

// Waits for all threads of the block.
void barrier(int site);

// How many barriers the block has passed.
uint32_t epoch();

// Gives `mine`, waits for the lanes of the warp, and takes what lane `lane ^ mask` gave.
void exchange(const void *mine, void *theirs, int bytes, int mask);

// Memory of the block for one declaration, which `key` and `line` name. `bytes` of data; for each of `count` elements
// who wrote and who read it.
struct Trace {
    uint32_t writer, written, reader, read;
};
struct Block {
    unsigned char *data;
    Trace *traces;
};
Block shared(const void *key, int line, int bytes, int count);

// Elements of a buffer of the machine.
struct Memory {
    void *data;
    long long count;
    int kind;
    // Who wrote each element in this launch, or nothing where it is an input.
    uint32_t *writers;
    // Whether each element was ever written.
    unsigned char *written;
};

template <typename T> struct Kind;
template <> struct Kind<float> { static constexpr int value = 0; };
template <> struct Kind<double> { static constexpr int value = 1; };
template <> struct Kind<bf16> { static constexpr int value = 2; };

template <typename T> T read(const Memory *memory, long long at) {
    if (!memory || at < 0 || at >= memory->count)
        fail("reads element %lld of %lld", at, memory ? memory->count : 0);
    if (!memory->written[at]) fail("reads element %lld, which nobody wrote", at);
    if (memory->writers && memory->writers[at] && memory->writers[at] != self())
        fail("reads element %lld, which another thread writes", at);
    return static_cast<const T *>(memory->data)[at];
}

template <typename T> void write(const Memory *memory, long long at, T value) {
    if (!memory || at < 0 || at >= memory->count)
        fail("writes element %lld of %lld", at, memory ? memory->count : 0);
    if (memory->writers[at] && memory->writers[at] != self())
        fail("writes element %lld, which another thread writes, too", at);
    memory->writers[at] = self();
    memory->written[at] = 1;
    static_cast<T *>(memory->data)[at] = value;
}

// An element that is written.
template <typename T> class Place {
  public:
    Place(const Memory *memory, long long at) : memory(memory), at(at) {}
    operator T() const { return read<T>(memory, at); }
    Place &operator=(T value) {
        write<T>(memory, at, value);
        return *this;
    }
    Place &operator=(const Place &other) { return *this = T(other); }
    Place(const Place &) = default;

  private:
    const Memory *memory;
    long long at;
};

// A pointer to constants reads, any other writes, too.
template <typename T> class Pointer {
  public:
    using Element = std::remove_const_t<T>;

    Pointer() = default;
    explicit Pointer(const Memory *memory, long long first = 0) : memory(memory), first(first) {}
    explicit operator bool() const { return memory; }
    Pointer operator+(long long offset) const { return Pointer(memory, first + offset); }
    auto operator[](long long at) const {
        if constexpr (std::is_const_v<T>)
            return read<Element>(memory, first + at);
        else
            return Place<Element>(memory, first + at);
    }

  private:
    const Memory *memory = nullptr;
    long long first = 0;
};

template <typename T> class SharedPlace {
  public:
    SharedPlace(T *value, Trace *trace) : value(value), trace(trace) {}
    operator T() const {
        if (!trace->writer) fail("reads shared memory that nobody wrote");
        if (trace->writer != self() && trace->written == epoch()) fail("reads shared memory before a barrier");
        if (trace->reader && trace->reader != self() && trace->read == epoch())
            trace->reader = UINT32_MAX;
        else
            trace->reader = self();
        trace->read = epoch();
        return *value;
    }
    SharedPlace &operator=(T replacement) {
        if (trace->writer && trace->writer != self() && trace->written == epoch())
            fail("writes shared memory that another thread writes");
        if (trace->reader && trace->reader != self() && trace->read == epoch())
            fail("writes shared memory that another thread still reads");
        trace->writer = self();
        trace->written = epoch();
        *value = replacement;
        return *this;
    }

  private:
    T *value;
    Trace *trace;
};

template <typename T> class Shared {
  public:
    Shared(int line, int count) : block(shared(&tag, line, int(sizeof(T)) * count, count)), count(count) {}
    SharedPlace<T> operator[](long long at) const {
        if (at < 0 || at >= count) fail("touches element %lld of %d in shared memory", at, count);
        return {reinterpret_cast<T *>(block.data) + at, block.traces + at};
    }

  private:
    static inline char tag = 0;
    Block block;
    int count;
};

// A kernel that `launch` knows by its name.
struct Argument;
struct Grid;
struct Kernel {
    using Run = void (*)(const Argument *arguments, int count);
    Kernel(const char *name, Run run);
};

template <auto FUNCTION> void run(const Argument *arguments, int count);

} // namespace emulation

#define DEVICE inline
template <typename T> using In = emulation::Pointer<const T>;
template <typename T> using Out = emulation::Pointer<T>;
#define SHARED(T, name, count) emulation::Shared<T> name(__LINE__, count)
#define KERNEL(threads, name, ...)                                                                                     \
    static void name(__VA_ARGS__);                                                                                     \
    static emulation::Kernel known_##name(#name, emulation::run<name>);                                                \
    static void name(__VA_ARGS__)

#define threadIdx (emulation::thread)
#define blockIdx (emulation::block)
#define blockDim (emulation::block_size)
#define gridDim (emulation::grid_size)
#define __syncthreads() emulation::barrier(__LINE__)

template <typename V> V shuffle_xor(V value, int mask) {
    V theirs;
    emulation::exchange(&value, &theirs, int(sizeof value), mask);
    return theirs;
}
