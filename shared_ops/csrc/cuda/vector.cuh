// Several channels at once: one load, store or atomic addition of up to 16 bytes, and sums in the compute type.
#pragma once

#include <cuda_runtime.h>
#include <torch/headeronly/util/BFloat16.h>
#include <torch/headeronly/util/Half.h>

#include <cstdint>
#include <type_traits>

#include "../bilinear.h"

// The device that is compiled for; the tests run all of them on the host.
#if !defined(SHARED_OPS_CUDA_ARCH)
#if defined(__CUDA_ARCH__)
#define SHARED_OPS_CUDA_ARCH __CUDA_ARCH__
#else
#define SHARED_OPS_CUDA_ARCH 0
#endif
#endif

namespace shared_ops {

// How many neighbours one atomic addition takes, from compute capability 9.0 on four floats.
template <typename T>
constexpr int kAtomicSize = SHARED_OPS_CUDA_ARCH >= 900 && std::is_same_v<T, float> ? 4 : 1;

template <typename scalar_t, int SIZE>
struct alignas(sizeof(scalar_t) * SIZE) Vector {
  scalar_t element[SIZE];
};

// The type of the machine that is loaded and stored in one instruction.
template <int BYTES>
struct Word;
template <>
struct Word<16> {
  using type = uint4;
};
template <>
struct Word<8> {
  using type = uint2;
};
template <>
struct Word<4> {
  using type = unsigned int;
};
template <>
struct Word<2> {
  using type = unsigned short;
};
template <typename V>
using word_t = typename Word<sizeof(V)>::type;

// `address` must be a multiple of the size of the vector.
template <typename V>
__device__ __forceinline__ word_t<V> load_word(const void* address) {
  return __ldg(static_cast<const word_t<V>*>(address));
}

// Zeros where the vector does not exist, whose address may then be anything. For 16 bytes this is not a branch: the
// loads of several points can be on their way at a time.
template <typename V>
__device__ __forceinline__ word_t<V> load_word_if(bool exists, const void* address) {
  word_t<V> word = {};
#if defined(__CUDA_ARCH__)
  if constexpr (sizeof(V) == 16) {
    asm("{\n\t"
        ".reg .pred exists;\n\t"
        "setp.ne.u32 exists, %5, 0;\n\t"
        "@exists ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];\n\t"
        "}"
        : "+r"(word.x), "+r"(word.y), "+r"(word.z), "+r"(word.w)
        : "l"(__cvta_generic_to_global(address)), "r"(static_cast<unsigned int>(exists)));
    return word;
  }
#endif
  if (exists) {
    word = load_word<V>(address);
  }
  return word;
}

template <typename V>
__device__ __forceinline__ V load(const void* address) {
  return __builtin_bit_cast(V, load_word<V>(address));
}

// For what nobody reads again soon: it should not push the maps out of the caches.
template <typename V>
__device__ __forceinline__ V load_once(const void* address) {
  return __builtin_bit_cast(V, __ldcs(static_cast<const word_t<V>*>(address)));
}

template <typename V>
__device__ __forceinline__ void store_once(void* address, const V& vector) {
  __stcs(static_cast<word_t<V>*>(address), __builtin_bit_cast(word_t<V>, vector));
}

// Channel `c` of what was loaded. The compiler takes three instructions for the upper one of two bfloat16.
template <typename T, typename V>
__device__ __forceinline__ T channel_of(const word_t<V>& word, int c) {
  using scalar_t = std::remove_cvref_t<decltype(V::element[0])>;
  if constexpr (std::is_same_v<scalar_t, c10::BFloat16> && sizeof(V) % 4 == 0) {
    using Pairs = Vector<uint32_t, sizeof(V) / 4>;
    const uint32_t pair = __builtin_bit_cast(Pairs, word).element[c / 2];
    return __builtin_bit_cast(float, c % 2 == 0 ? pair << 16 : pair & 0xffff0000u);
  } else {
    return static_cast<T>(__builtin_bit_cast(V, word).element[c]);
  }
}

template <typename scalar_t, typename T, int SIZE>
__device__ __forceinline__ Vector<scalar_t, SIZE> convert(const T (&from)[SIZE]) {
  Vector<scalar_t, SIZE> to;
#pragma unroll
  for (int i = 0; i < SIZE; ++i) {
    to.element[i] = static_cast<scalar_t>(from[i]);
  }
  return to;
}

// Adds `factor * vector` to memory that others add to as well.
template <typename T, int SIZE>
__device__ __forceinline__ void add_to(T* address, T factor, const T (&vector)[SIZE]) {
#if SHARED_OPS_CUDA_ARCH >= 900
  if constexpr (SIZE == 4) {
    atomicAdd(reinterpret_cast<float4*>(address),
              make_float4(factor * vector[0], factor * vector[1], factor * vector[2], factor * vector[3]));
  } else
#endif
  {
#pragma unroll
    for (int i = 0; i < SIZE; ++i) {
      atomicAdd(address + i, factor * vector[i]);
    }
  }
}

}  // namespace shared_ops
