// The loops over points and channels, which is where the time goes.
#pragma once

#include <cstdint>

#include "block.h"
#include "points.h"

namespace shared_ops::SHARED_OPS_ISA {

// The channels of the four pixels around a point. `channels` lie from one pixel to the next.
template <typename scalar_t, typename T>
SHARED_OPS_INLINE void corners(const Points<T>& points, int64_t p, scalar_t* map, int64_t channels,
                               scalar_t* (&corner)[4]) {
  const int64_t right = points.step_x[p] * channels, down = points.step_y[p] * channels;
  corner[0] = map + points.pixel[p] * channels;
  corner[1] = corner[0] + right;
  corner[2] = corner[0] + down;
  corner[3] = corner[2] + right;
}

template <typename T>
SHARED_OPS_INLINE void weights_of(const Points<T>& points, int64_t p, T (&weight)[4]) {
  weight[0] = points.w00[p];
  weight[1] = points.w01[p];
  weight[2] = points.w10[p];
  weight[3] = points.w11[p];
}

// The output of one head: the weighted sum of its points `first` to `last`.
template <typename scalar_t, typename BlockType, typename T = compute_t<scalar_t>>
SHARED_OPS_INLINE void sample(BlockType block, const Points<T>& points, int64_t first, int64_t last,
                              const scalar_t* map, int64_t channels, scalar_t* output) {
  constexpr int kVectors = BlockType::kVectors;
  // a sum waits for itself, so there are several of it where there are few vectors
  constexpr int kChains = kVectors >= 4 ? 2 : 4;
  Vector<T> sum[kChains][kVectors] = {};
  for (int64_t p = first; p < last; ++p) {
    if (points.pixel[p] == kNowhere) {
      continue;
    }
    const scalar_t* corner[4];
    corners(points, p, map, channels, corner);
    T weight[4];
    weights_of(points, p, weight);
    for (int k = 0; k < 4; ++k) {
      Vector<T> value[kVectors];
      block.load(corner[k], value);
      for (int i = 0; i < kVectors; ++i) {
        sum[k % kChains][i] += weight[k] * value[i];
      }
    }
  }
  for (int k = 1; k < kChains; ++k) {
    for (int i = 0; i < kVectors; ++i) {
      sum[0][i] += sum[k][i];
    }
  }
  block.store(output, sum[0]);
}

// Adds, for every point, the products of the gradient of the output with the four pixels to `dots` [points, 4].
template <typename scalar_t, typename BlockType, typename T = compute_t<scalar_t>>
SHARED_OPS_INLINE void multiply(BlockType block, const Points<T>& points, int64_t first, int64_t last,
                                const scalar_t* map, int64_t channels, const scalar_t* grad_output, T* dots) {
  constexpr int kVectors = BlockType::kVectors;
  Vector<T> grad[kVectors];
  block.load(grad_output, grad);
  for (int64_t p = first; p < last; ++p) {
    if (points.pixel[p] == kNowhere) {
      continue;
    }
    const scalar_t* corner[4];
    corners(points, p, map, channels, corner);
    Vector<T> product[4];
    for (int k = 0; k < 4; ++k) {
      Vector<T> value[kVectors];
      block.load(corner[k], value);
      product[k] = grad[0] * value[0];
      for (int i = 1; i < kVectors; ++i) {
        product[k] += grad[i] * value[i];
      }
    }
    add_lanes(product, dots + 4 * p);
  }
}

// Adds the gradient of the output, as the points share it out, to the sums of a band of pixels, `begin` to `end` of the
// S. The sums of a pixel lie `stride` after those of the last, in the order of a block's vectors.
template <typename scalar_t, typename BlockType, typename T = compute_t<scalar_t>>
SHARED_OPS_INLINE void spread(BlockType block, const Points<T>& points, int64_t first, int64_t last,
                              const scalar_t* grad_output, T* sums, int64_t stride, int64_t begin, int64_t end) {
  constexpr int kVectors = BlockType::kVectors;
  constexpr Block<T, kVectors> row;
  Vector<T> grad[kVectors];
  block.load(grad_output, grad);
  for (int64_t p = first; p < last; ++p) {
    const int64_t pixel = points.pixel[p], right = points.step_x[p], down = points.step_y[p];
    if (pixel == kNowhere || pixel >= end || pixel + down + right < begin) {
      continue;
    }
    const int64_t corner[4] = {pixel, pixel + right, pixel + down, pixel + down + right};
    T weight[4];
    weights_of(points, p, weight);
    for (int k = 0; k < 4; ++k) {
      // one comparison: what lies below the band is huge as an unsigned number
      if (static_cast<uint64_t>(corner[k] - begin) >= static_cast<uint64_t>(end - begin)) {
        continue;
      }
      T* at = sums + (corner[k] - begin) * stride;
      Vector<T> sum[kVectors];
      row.load(at, sum);
      for (int i = 0; i < kVectors; ++i) {
        sum[i] += weight[k] * grad[i];
      }
      row.store(at, sum);
    }
  }
}

}  // namespace shared_ops::SHARED_OPS_ISA
