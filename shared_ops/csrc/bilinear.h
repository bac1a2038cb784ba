// The arithmetic of sampling a map at a fractional position, one text for CPU and CUDA.
#pragma once

#include <cmath>
#include <cstdint>

#if defined(__CUDACC__)
#define SHARED_OPS_INLINE __host__ __device__ __forceinline__
#elif defined(__GNUC__)
// A kernel that is compiled for a newer processor has to take these in, not call them.
#define SHARED_OPS_INLINE inline __attribute__((always_inline))
#else
#define SHARED_OPS_INLINE inline
#endif

namespace shared_ops {

// The corner pixels around a position, in the order top left, top right, bottom left, bottom right.
constexpr int kCorners = 4;

// A pixel that lies outside of the map and counts as zero.
constexpr int64_t kOutside = -1;

template <typename T>
struct Bilinear {
  int64_t pixel[kCorners];  // row * width + column, or kOutside
  T weight[kCorners];
  T down, right;  // how far the position lies below and to the right of the top left corner, in [0, 1)
};

// A normalized coordinate, 0 and 1 being the edges of the map, in pixels, 0 being the centre of the first one.
template <typename T>
SHARED_OPS_INLINE T to_pixels(T normalized, int64_t size) {
  return normalized * static_cast<T>(size) - static_cast<T>(0.5);
}

// Finds the corners of a position in pixels. Returns false, and leaves `point` alone, for a position that adds nothing
// and has no gradient: one pixel or more outside of the map, infinite, or NaN. The comparisons come before any
// conversion to an integer, which would be undefined for those.
template <typename T>
SHARED_OPS_INLINE bool locate(T row, T column, int64_t height, int64_t width, Bilinear<T>& point) {
  if (!(row > -1 && column > -1 && row < static_cast<T>(height) && column < static_cast<T>(width))) {
    return false;
  }
  const T top = std::floor(row), left = std::floor(column);
  const int64_t y = static_cast<int64_t>(top), x = static_cast<int64_t>(left);
  const bool has_top = y >= 0, has_bottom = y + 1 < height, has_left = x >= 0, has_right = x + 1 < width;
  const int64_t pixel = y * width + x;
  point.pixel[0] = has_top && has_left ? pixel : kOutside;
  point.pixel[1] = has_top && has_right ? pixel + 1 : kOutside;
  point.pixel[2] = has_bottom && has_left ? pixel + width : kOutside;
  point.pixel[3] = has_bottom && has_right ? pixel + width + 1 : kOutside;

  point.down = row - top;
  point.right = column - left;
  const T up_share = 1 - point.down, left_share = 1 - point.right;
  point.weight[0] = up_share * left_share;
  point.weight[1] = up_share * point.right;
  point.weight[2] = point.down * left_share;
  point.weight[3] = point.down * point.right;
  return true;
}

template <typename T>
struct SampleGradient {
  T sample;       // the sample itself
  T row, column;  // its derivative by the position in pixels
};

// The sample and its derivative, from the values at the corners. Both are linear in the values, so `corner` may as well
// hold sums over channels of a value times the gradient that arrives there.
template <typename T>
SHARED_OPS_INLINE SampleGradient<T> differentiate(const Bilinear<T>& point, const T (&corner)[kCorners]) {
  const T top = corner[0] + point.right * (corner[1] - corner[0]);
  const T bottom = corner[2] + point.right * (corner[3] - corner[2]);
  const T horizontal = (1 - point.down) * (corner[1] - corner[0]) + point.down * (corner[3] - corner[2]);
  return {top + point.down * (bottom - top), bottom - top, horizontal};
}

}  // namespace shared_ops
