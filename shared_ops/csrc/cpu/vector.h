// Vectors of channels for the instruction set that this is compiled for: loading and storing every type, sums.
//
// A block is some consecutive channels of a pixel, held in kVectors vectors of the compute type. Which channel lies in
// which lane is a block's own affair, the same in all of its loads and stores.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "../bilinear.h"
#include "types.h"

namespace shared_ops::SHARED_OPS_ISA {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
#elif defined(__AVX2__)
constexpr int kVectorBytes = 32;
#else
constexpr int kVectorBytes = 16;
#endif

template <typename T>
constexpr int kLanes = kVectorBytes / sizeof(T);

typedef float FloatVector __attribute__((vector_size(kVectorBytes)));
typedef double DoubleVector __attribute__((vector_size(kVectorBytes)));
typedef uint32_t WordVector __attribute__((vector_size(kVectorBytes)));
typedef uint16_t HalfWordVector __attribute__((vector_size(kVectorBytes / 2)));

typedef int32_t Int32Vector __attribute__((vector_size(kVectorBytes)));
typedef int64_t Int64Vector __attribute__((vector_size(kVectorBytes)));

template <typename T>
struct VectorOf;
template <>
struct VectorOf<float> {
  using type = FloatVector;
  using index_t = int32_t;
};
template <>
struct VectorOf<double> {
  using type = DoubleVector;
  using index_t = int64_t;
};
template <typename T>
using Vector = typename VectorOf<T>::type;
// Integers as wide as T, so that as many of them fill a vector.
template <typename T>
using index_t = typename VectorOf<T>::index_t;

template <typename To, typename From>
SHARED_OPS_INLINE To read(const From* from) {
  To to;
  std::memcpy(&to, from, sizeof(to));
  return to;
}

template <typename To, typename From>
SHARED_OPS_INLINE void write(To* to, const From& from) {
  std::memcpy(to, &from, sizeof(from));
}

template <typename T>
SHARED_OPS_INLINE Vector<T> broadcast(T number) {
  return Vector<T>{} + number;
}

// --- one vector of each type ---

SHARED_OPS_INLINE FloatVector load(const float* from) { return read<FloatVector>(from); }
SHARED_OPS_INLINE DoubleVector load(const double* from) { return read<DoubleVector>(from); }
SHARED_OPS_INLINE void store(float* to, FloatVector v) { write(to, v); }
SHARED_OPS_INLINE void store(double* to, DoubleVector v) { write(to, v); }

// bfloat16 is the upper half of a float32.
#if defined(__AVX512F__)
SHARED_OPS_INLINE FloatVector load(const BFloat16* from) {
  // one permutation instead of widening and shifting
  const __m512i upper = _mm512_set_epi16(15, 0, 14, 0, 13, 0, 12, 0, 11, 0, 10, 0, 9, 0, 8, 0, 7, 0, 6, 0, 5, 0, 4, 0,
                                         3, 0, 2, 0, 1, 0, 0, 0);
  const __m512i halves = _mm512_castsi256_si512(read<__m256i>(from));
  return _mm512_castsi512_ps(_mm512_maskz_permutexvar_epi16(0xaaaaaaaa, upper, halves));
}
#else
SHARED_OPS_INLINE FloatVector load(const BFloat16* from) {
  const WordVector words = __builtin_convertvector(read<HalfWordVector>(from), WordVector) << 16;
  return reinterpret_cast<FloatVector>(words);
}
#endif

// Rounds to the nearest bfloat16, ties to even, and leaves it in the upper half; a NaN stays one.
SHARED_OPS_INLINE WordVector round_to_bfloat16(FloatVector v) {
  const WordVector bits = reinterpret_cast<WordVector>(v);
  const WordVector rounded = bits + 0x7fff + ((bits >> 16) & 1);
  return v == v ? rounded : bits | 0x400000;
}

SHARED_OPS_INLINE HalfWordVector to_bfloat16(FloatVector v) {
  return __builtin_convertvector(round_to_bfloat16(v) >> 16, HalfWordVector);
}

SHARED_OPS_INLINE void store(BFloat16* to, FloatVector v) { write(to, to_bfloat16(v)); }

#if defined(__AVX512F__)
SHARED_OPS_INLINE FloatVector load(const Half* from) { return _mm512_cvtph_ps(read<__m256i>(from)); }
SHARED_OPS_INLINE __m256i to_float16(FloatVector v) {
  return _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
SHARED_OPS_INLINE void store(Half* to, FloatVector v) { write(to, to_float16(v)); }
#elif defined(__F16C__)
SHARED_OPS_INLINE FloatVector load(const Half* from) { return _mm256_cvtph_ps(read<__m128i>(from)); }
SHARED_OPS_INLINE void store(Half* to, FloatVector v) { write(to, _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT)); }
#else
// float16 has five bits of exponent where float32 has eight: rebase it, but for subnormal numbers, which are integers
// in units of 2^-24, and for infinity and NaN, whose exponent has all bits set.
SHARED_OPS_INLINE FloatVector load(const Half* from) {
  const WordVector bits = __builtin_convertvector(read<HalfWordVector>(from), WordVector);
  const WordVector magnitude = bits & 0x7fff, shifted = magnitude << 13;
  const FloatVector small = __builtin_convertvector(magnitude, FloatVector) * 0x1p-24f;
  WordVector value = shifted + (112u << 23);
  value = magnitude < 0x400 ? reinterpret_cast<WordVector>(small) : value;
  value = magnitude >= 0x7c00 ? shifted | 0x7f800000 : value;
  return reinterpret_cast<FloatVector>(value | (bits & 0x8000) << 16);
}

// Adding a power of two whose last place is the last place of the float16 rounds to that, ties to even; the places are
// then the difference in bits. 2^-14 is the exponent of the smallest normal float16; 65520 is where infinity begins.
SHARED_OPS_INLINE void store(Half* to, FloatVector v) {
  const WordVector bits = reinterpret_cast<WordVector>(v);
  const WordVector magnitude = bits & 0x7fffffff, exponent = magnitude & 0x7f800000;
  const WordVector anchor = (exponent > (113u << 23) ? exponent : exponent - exponent + (113u << 23)) + (13u << 23);
  const FloatVector sum = reinterpret_cast<FloatVector>(magnitude) + reinterpret_cast<FloatVector>(anchor);
  WordVector result = (anchor >> 13) - (126u << 10) + reinterpret_cast<WordVector>(sum) - anchor;
  result = magnitude >= 0x477ff000 ? exponent - exponent + 0x7c00 : result;
  result = magnitude > 0x7f800000 ? exponent - exponent + 0x7e00 : result;
  write(to, __builtin_convertvector(result | (bits & 0x80000000) >> 16, HalfWordVector));
}
#endif

// --- the first `count` lanes of a vector; the others are zero, and are not read from or written to memory ---

template <typename scalar_t>
SHARED_OPS_INLINE Vector<compute_t<scalar_t>> load(const scalar_t* from, int count) {
  scalar_t lanes[kLanes<compute_t<scalar_t>>] = {};
  std::memcpy(lanes, from, count * sizeof(scalar_t));
  return load(lanes);
}

template <typename scalar_t>
SHARED_OPS_INLINE void store(scalar_t* to, Vector<compute_t<scalar_t>> v, int count) {
  scalar_t lanes[kLanes<compute_t<scalar_t>>];
  store(lanes, v);
  std::memcpy(to, lanes, count * sizeof(scalar_t));
}

#if defined(__AVX512F__)
SHARED_OPS_INLINE __mmask16 first_lanes(int count) { return static_cast<__mmask16>((1u << count) - 1); }
template <>
SHARED_OPS_INLINE FloatVector load(const float* from, int count) {
  return _mm512_maskz_loadu_ps(first_lanes(count), from);
}
template <>
SHARED_OPS_INLINE void store(float* to, FloatVector v, int count) {
  _mm512_mask_storeu_ps(to, first_lanes(count), v);
}
template <>
SHARED_OPS_INLINE FloatVector load(const Half* from, int count) {
  return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(first_lanes(count), from));
}
template <>
SHARED_OPS_INLINE void store(Half* to, FloatVector v, int count) {
  _mm256_mask_storeu_epi16(to, first_lanes(count), to_float16(v));
}
template <>
SHARED_OPS_INLINE FloatVector load(const BFloat16* from, int count) {
  const __m256i halves = _mm256_maskz_loadu_epi16(first_lanes(count), from);
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}
template <>
SHARED_OPS_INLINE void store(BFloat16* to, FloatVector v, int count) {
  _mm256_mask_storeu_epi16(to, first_lanes(count), reinterpret_cast<__m256i>(to_bfloat16(v)));
}
#elif defined(__AVX2__)
SHARED_OPS_INLINE __m256i first_lanes(int count) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
template <>
SHARED_OPS_INLINE FloatVector load(const float* from, int count) {
  return _mm256_maskload_ps(from, first_lanes(count));
}
template <>
SHARED_OPS_INLINE void store(float* to, FloatVector v, int count) {
  _mm256_maskstore_ps(to, first_lanes(count), v);
}
#endif

// --- as many lanes as are left, which may be none, or more than a vector has ---

template <typename scalar_t>
SHARED_OPS_INLINE Vector<compute_t<scalar_t>> load_up_to(const scalar_t* from, int64_t left) {
  using T = compute_t<scalar_t>;
  return left >= kLanes<T> ? load(from) : left > 0 ? load(from, static_cast<int>(left)) : Vector<T>{};
}

template <typename scalar_t>
SHARED_OPS_INLINE void store_up_to(scalar_t* to, Vector<compute_t<scalar_t>> v, int64_t left) {
  if (left >= kLanes<compute_t<scalar_t>>) {
    store(to, v);
  } else if (left > 0) {
    store(to, v, static_cast<int>(left));
  }
}

// --- blocks ---

template <typename scalar_t, int vectors>
struct Block {
  using T = compute_t<scalar_t>;
  static constexpr int kVectors = vectors;
  static constexpr int kChannels = vectors * kLanes<T>;

  SHARED_OPS_INLINE void load(const scalar_t* from, Vector<T> (&to)[vectors]) const {
    for (int i = 0; i < vectors; ++i) {
      to[i] = SHARED_OPS_ISA::load(from + i * kLanes<T>);
    }
  }
  SHARED_OPS_INLINE void store(scalar_t* to, const Vector<T> (&from)[vectors]) const {
    for (int i = 0; i < vectors; ++i) {
      SHARED_OPS_ISA::store(to + i * kLanes<T>, from[i]);
    }
  }
};

// Pairs of bfloat16 come as words of 32 bits: splitting those into the even and the odd channels is cheaper than
// widening one half of a vector after the other.
template <int vectors>
  requires(vectors % 2 == 0)
struct Block<BFloat16, vectors> {
  static constexpr int kVectors = vectors;
  static constexpr int kChannels = vectors * kLanes<float>;

  SHARED_OPS_INLINE void load(const BFloat16* from, FloatVector (&to)[vectors]) const {
    for (int i = 0; i < vectors; i += 2) {
      const WordVector pairs = read<WordVector>(from + i * kLanes<float>);
      to[i] = reinterpret_cast<FloatVector>(pairs << 16);
      to[i + 1] = reinterpret_cast<FloatVector>(pairs & 0xffff0000);
    }
  }
  SHARED_OPS_INLINE void store(BFloat16* to, const FloatVector (&from)[vectors]) const {
    for (int i = 0; i < vectors; i += 2) {
      const WordVector even = round_to_bfloat16(from[i]) >> 16;
      const WordVector odd = round_to_bfloat16(from[i + 1]) & 0xffff0000;
      write(to + i * kLanes<float>, even | odd);
    }
  }
};

// The last channels, which do not fill a vector.
template <typename scalar_t>
struct LastBlock {
  using T = compute_t<scalar_t>;
  static constexpr int kVectors = 1;
  int count;

  SHARED_OPS_INLINE void load(const scalar_t* from, Vector<T> (&to)[1]) const {
    to[0] = SHARED_OPS_ISA::load(from, count);
  }
  SHARED_OPS_INLINE void store(scalar_t* to, const Vector<T> (&from)[1]) const {
    SHARED_OPS_ISA::store(to, from[0], count);
  }
};

// Calls f(block, first channel) for blocks that cover D channels.
template <typename scalar_t, typename F>
SHARED_OPS_INLINE void for_blocks(int64_t D, const F& f) {
  constexpr int kWidth = kLanes<compute_t<scalar_t>>;
  int64_t channel = 0;
  for (; D - channel >= 4 * kWidth; channel += 4 * kWidth) {
    f(Block<scalar_t, 4>{}, channel);
  }
  if (D - channel >= 2 * kWidth) {
    f(Block<scalar_t, 2>{}, channel);
    channel += 2 * kWidth;
  }
  if (D - channel >= kWidth) {
    f(Block<scalar_t, 1>{}, channel);
    channel += kWidth;
  }
  if (channel < D) {
    f(LastBlock<scalar_t>{static_cast<int>(D - channel)}, channel);
  }
}

// --- pairs ---

template <typename V, size_t... lane>
SHARED_OPS_INLINE void deinterleave(V a, V b, V& even, V& odd, std::index_sequence<lane...>) {
  even = __builtin_shufflevector(a, b, (2 * lane)...);
  odd = __builtin_shufflevector(a, b, (2 * lane + 1)...);
}

template <typename V, size_t... lane>
SHARED_OPS_INLINE void interleave(V even, V odd, V& a, V& b, std::index_sequence<lane...>) {
  constexpr size_t kCount = sizeof...(lane);
  a = __builtin_shufflevector(even, odd, (lane / 2 + lane % 2 * kCount)...);
  b = __builtin_shufflevector(even, odd, (kCount / 2 + lane / 2 + lane % 2 * kCount)...);
}

// Splits what lies in a and b, one after the other, into its elements 0, 2, 4, ... and 1, 3, 5, ...
template <typename T>
SHARED_OPS_INLINE void deinterleave(const Vector<T>& a, const Vector<T>& b, Vector<T>& even, Vector<T>& odd) {
  deinterleave(a, b, even, odd, std::make_index_sequence<kLanes<T>>());
}

// The opposite.
template <typename T>
SHARED_OPS_INLINE void interleave(const Vector<T>& even, const Vector<T>& odd, Vector<T>& a, Vector<T>& b) {
  interleave(even, odd, a, b, std::make_index_sequence<kLanes<T>>());
}

// --- sums over the lanes of four vectors ---

template <typename V, typename T>
SHARED_OPS_INLINE void add_lanes(const V (&v)[4], T* sums) {
  for (int k = 0; k < 4; ++k) {
    T sum = 0;
    for (int lane = 0; lane < kLanes<T>; ++lane) {
      sum += v[k][lane];
    }
    sums[k] += sum;
  }
}

#if defined(__AVX2__)
// Adds neighbouring lanes of two vectors at a time, so that one vector ends with all four sums in four of its lanes.
SHARED_OPS_INLINE void add_lanes(const FloatVector (&v)[4], float* sums) {
#if defined(__AVX512F__)
  const __m512 a = _mm512_add_ps(_mm512_unpacklo_ps(v[0], v[1]), _mm512_unpackhi_ps(v[0], v[1]));
  const __m512 b = _mm512_add_ps(_mm512_unpacklo_ps(v[2], v[3]), _mm512_unpackhi_ps(v[2], v[3]));
  const __m512 all = _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xee));
  const __m256 halves = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
#else
  const __m256 halves = _mm256_hadd_ps(_mm256_hadd_ps(v[0], v[1]), _mm256_hadd_ps(v[2], v[3]));
#endif
  const __m128 four = _mm_add_ps(_mm256_castps256_ps128(halves), _mm256_extractf128_ps(halves, 1));
  _mm_storeu_ps(sums, _mm_add_ps(_mm_loadu_ps(sums), four));
}
#endif

}  // namespace shared_ops::SHARED_OPS_ISA

namespace shared_ops {

// bilinear.h for vectors.
template <typename V, typename I, typename T>
struct VectorArithmetic {
  using Integer = I;
  SHARED_OPS_INLINE static V constant(T number) { return V{} + number; }
  SHARED_OPS_INLINE static I to_integer(V x) { return __builtin_convertvector(x, I); }
  SHARED_OPS_INLINE static V to_real(I i) { return __builtin_convertvector(i, V); }
  SHARED_OPS_INLINE static V round_down(V x) {
    const V towards_zero = to_real(to_integer(x));
    return towards_zero > x ? towards_zero - 1 : towards_zero;
  }
  template <typename U>
  SHARED_OPS_INLINE static U select(I condition, U yes, U no) {
    return condition ? yes : no;
  }
};

template <>
struct Arithmetic<SHARED_OPS_ISA::FloatVector>
    : VectorArithmetic<SHARED_OPS_ISA::FloatVector, SHARED_OPS_ISA::Int32Vector, float> {};
template <>
struct Arithmetic<SHARED_OPS_ISA::DoubleVector>
    : VectorArithmetic<SHARED_OPS_ISA::DoubleVector, SHARED_OPS_ISA::Int64Vector, double> {};

}  // namespace shared_ops
