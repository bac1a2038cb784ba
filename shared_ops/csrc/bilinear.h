// The arithmetic of sampling a map at a fractional position, one text for a thread on CUDA and a vector on the CPU.
//
// Bilinear sampling is linear sampling along both axes, so all that there is to know about a position is, for either
// axis, which two pixels it lies between and what share each of them has.
#pragma once

#include <cmath>
#include <cstdint>
#include <type_traits>

#if defined(__CUDACC__)
#define SHARED_OPS_INLINE __host__ __device__ __forceinline__
#elif defined(__GNUC__)
// A kernel that is compiled for a newer processor has to take these in, not call them.
#define SHARED_OPS_INLINE inline __attribute__((always_inline))
#else
#define SHARED_OPS_INLINE inline
#endif

namespace shared_ops {

// The type of positions and sums for values of type scalar_t.
template <typename scalar_t>
using compute_t = std::conditional_t<std::is_same_v<scalar_t, double>, double, float>;

// What numbers and vectors of numbers write differently. The CPU adds its vectors.
template <typename T>
struct Arithmetic {
  using Integer = int32_t;
  SHARED_OPS_INLINE static T constant(double number) { return static_cast<T>(number); }
  SHARED_OPS_INLINE static T round_down(T x) {
    if constexpr (sizeof(T) == sizeof(float)) {
      return ::floorf(x);
    } else {
      return ::floor(x);
    }
  }
  SHARED_OPS_INLINE static Integer to_integer(T x) { return static_cast<Integer>(x); }
  SHARED_OPS_INLINE static T to_real(Integer i) { return static_cast<T>(i); }
  template <typename U>
  SHARED_OPS_INLINE static U select(bool condition, U yes, U no) {
    return condition ? yes : no;
  }
};

template <typename T>
using integer_t = typename Arithmetic<T>::Integer;

// Whether a position in pixels, 0 being the centre of the first one, counts along an axis of `size` pixels. One that
// lies a pixel or more outside adds nothing and has no gradient; neither does infinity or NaN, for which every
// comparison is false. Only positions that count may be converted to integers.
template <typename T>
SHARED_OPS_INLINE auto counts(T position, integer_t<T> size) {
  return (position > Arithmetic<T>::constant(-1)) & (position < Arithmetic<T>::to_real(size));
}

// Where a position lies along one axis. With v0 the pixel `first` and v1 the pixel `first + step`
//   the sample is                           share0 * v0 + share1 * v1,
//   its derivative by the position is       slope0 * v0 + slope1 * v1.
// A position between the last pixel and the zeros around the map has only one pixel: step is then 0 and either
// factor is half of what that pixel has, so that nothing outside is read, no product with a zero that is not there
// turns an infinity into NaN, and nobody has to ask where the position lies.
template <typename T>
struct Axis {
  integer_t<T> first, step;
  T share0, share1;
  T slope0, slope1;
};

// `position` must count.
template <typename T>
SHARED_OPS_INLINE Axis<T> split(T position, integer_t<T> size) {
  using A = Arithmetic<T>;
  const T one = A::constant(1), half = A::constant(0.5);
  const T lower = A::round_down(position);
  const T past = position - lower;  // in [0, 1]: what lies just below a pixel may round to it
  const integer_t<T> pixel = A::to_integer(lower);
  const auto has_lower = pixel >= 0, has_upper = pixel + 1 < size;
  const auto both = has_lower & has_upper;
  const T single = half * A::select(has_lower, one - past, past);
  const T single_slope = A::select(has_lower, -half, half);
  return {
      A::select(has_lower, pixel, pixel + 1),  // pixel + 1 is then 0
      A::select(both, pixel - pixel + 1, pixel - pixel),
      A::select(both, one - past, single),
      A::select(both, past, single),
      A::select(both, -one, single_slope),
      A::select(both, one, single_slope),
  };
}

template <typename T>
struct SampleGradient {
  T sample;  // the sample itself, which is the derivative by its weight
  T x, y;    // its derivatives by the position in pixels
};

// The sample and its derivatives from the values at the four pixels: d00 and d01 in the upper row, d10 and d11 in the
// lower one. All three are linear in the values, so these may as well be sums over channels of a value times the
// gradient that arrives there.
template <typename T>
SHARED_OPS_INLINE SampleGradient<T> differentiate(const Axis<T>& x, const Axis<T>& y, T d00, T d01, T d10, T d11) {
  const T upper = x.share0 * d00 + x.share1 * d01;
  const T lower = x.share0 * d10 + x.share1 * d11;
  const T upper_slope = x.slope0 * d00 + x.slope1 * d01;
  const T lower_slope = x.slope0 * d10 + x.slope1 * d11;
  return {
      y.share0 * upper + y.share1 * lower,
      y.share0 * upper_slope + y.share1 * lower_slope,
      y.slope0 * upper + y.slope1 * lower,
  };
}

}  // namespace shared_ops
