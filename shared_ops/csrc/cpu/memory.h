// Loads and stores of every type as vectors of the compute type: whole ones, and the last lanes of a row.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "types.h"
#include "vector.h"

namespace shared_ops::SHARED_OPS_ISA {

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

}  // namespace shared_ops::SHARED_OPS_ISA
