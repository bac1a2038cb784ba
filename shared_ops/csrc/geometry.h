// Where the operators sample. Both are the same sum: every output vector of D channels, one for every query q and head
// m of an image n, is
//     sum over its K points p of  weight[n, q, m, p] * bilinear sample of map[n, ..., m] at position(n, q, m, p)
// and memory is laid out alike:
//     value    [N, S, M, D]      S pixels: all levels one after another, or the one map of a convolution
//     points   [N, Q, M, K, 2]   (x, y): sampling locations, or the offsets of a convolution
//     weights  [N, Q, M, K]
//     output   [N, Q, M, D]
// Multi-scale deformable attention: M heads, K = L * P, level by level. DCNv3: M groups, K = kernel_h * kernel_w, Q
// = the pixels of the output. What differs is how a point becomes a position, in pixels of a map, 0 being the centre
// of the first pixel: that is what this file says, one text for CPU and CUDA.
#pragma once

#include <cstdint>

#include "bilinear.h"

namespace shared_ops {

struct Sizes {
  int64_t N, S, M, D, Q, K;
};

// One level of multi-scale deformable attention: its map, and the first of its pixels among the S.
struct Level {
  int32_t height, width;
  int64_t start;
};

// A sampling location, 0 and 1 being the edges of the map, as a position.
template <typename T>
SHARED_OPS_INLINE T attention_position(T location, integer_t<T> size) {
  return location * Arithmetic<T>::to_real(size) - Arithmetic<T>::constant(0.5);
}

// The derivative of that position by the location.
template <typename T>
SHARED_OPS_INLINE T attention_scale(integer_t<T> size) {
  return Arithmetic<T>::to_real(size);
}

// A convolution, along one axis. The padded map has fewer than 2^31 pixels, and the kernel fits into it.
struct WindowAxis {
  int32_t kernel, stride, padding, dilation;
  int32_t size, output_size;  // pixels of the map and of the output
};

struct Window {
  WindowAxis y, x;
  double offset_scale;
};

// Where the kernel of output pixel `output` begins: the offset scale stretches it about its centre.
template <typename T>
SHARED_OPS_INLINE T window_origin(const WindowAxis& axis, int32_t output, T offset_scale) {
  const int32_t centre = (axis.dilation * (axis.kernel - 1)) >> 1;
  return static_cast<T>(output * axis.stride - axis.padding + centre) - static_cast<T>(centre) * offset_scale;
}

// Where tap `tap` of that kernel lies from its first one, in pixels, before offset and scale. Taps go down the columns
// of the kernel: point p is tap p / kernel_h along x and tap p % kernel_h along y.
template <typename T>
SHARED_OPS_INLINE T window_tap(const WindowAxis& axis, int32_t tap) {
  return static_cast<T>(tap * axis.dilation);
}

// The position of a tap with its offset; its derivative by the offset is the offset scale.
template <typename T>
SHARED_OPS_INLINE T window_position(T origin, T tap, T offset, T offset_scale) {
  return origin + (tap + offset) * offset_scale;
}

}  // namespace shared_ops
