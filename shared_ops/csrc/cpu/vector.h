// Vectors of numbers, as wide as the instruction set that this is compiled for has them, and their arithmetic.
#pragma once

#include <cstdint>
#include <cstring>
#include <utility>

#include "../bilinear.h"

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
