// Where the gradient of the values is gathered while it grows.
//
// It grows in the compute type. Values of half precision therefore need memory that is twice as large as their own, and
// to keep that small the images are worked on a few at a time, or where one image alone is large, a few of its heads.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#include "../geometry.h"
#include "vector.cuh"

namespace shared_ops {

// Nobody misses so much memory.
constexpr int64_t kSmallSums = int64_t{8} << 20;  // bytes
// Each share should keep a device busy for several waves of blocks, the last of which is seldom a full one, but its
// sums should stay about as small as the L2 cache.
constexpr int64_t kWaves = 4, kLargeSums = int64_t{128} << 20;  // bytes

// How many images, or heads of one image, are worked on at a time.
struct Share {
  int64_t images, heads;
};

// Lets the sums take a twentieth of what one backward pass holds in float32, or kSmallSums where that is more, or what
// fills the device, of which one wave is `wave` blocks, where a head of an image is worked on by `blocks_per_head`; in
// any case what one head of one image takes.
inline Share share_of_sums(const Sizes& s, int64_t blocks_per_head, int64_t wave) {
  const int64_t per_head = std::max<int64_t>(1, s.S * s.D * static_cast<int64_t>(sizeof(float)));
  const int64_t values = s.N * s.S * s.M * s.D, outputs = s.N * s.Q * s.M * s.D, points = s.N * s.Q * s.M * s.K * 3;
  const int64_t whole = (2 * values + outputs + 2 * points) * static_cast<int64_t>(sizeof(float));  // with gradients
  const int64_t filling = (kWaves * wave + blocks_per_head - 1) / blocks_per_head;                  // heads
  const int64_t affordable =
      std::max({int64_t{1}, kSmallSums / per_head, whole / 20 / per_head, std::min(filling, kLargeSums / per_head)});
  if (affordable >= s.M) {
    return {std::min(s.N, affordable / s.M), s.M};
  }
  const int64_t rounds = (s.M + affordable - 1) / affordable;
  return {1, (s.M + rounds - 1) / rounds};
}

// Moves finished sums [rows, inner] to where they belong, `outer` elements from row to row, and leaves zeros where
// another share follows. One warp a row, one block 4 rows.
template <typename scalar_t, int VECTOR>
__global__ void __launch_bounds__(128) move_sums(int64_t rows, int64_t inner, int64_t outer, bool more,
                                                 float* __restrict__ sums, scalar_t* __restrict__ grad_value) {
  for (int64_t row = static_cast<int64_t>(blockIdx.x) * 4 + threadIdx.x / 32; row < rows;
       row += gridDim.x * int64_t{4}) {
    for (int64_t i = threadIdx.x % 32 * VECTOR; i < inner; i += 32 * VECTOR) {
      float* from = sums + row * inner + i;
      const auto sum = load_once<Vector<float, VECTOR>>(from);
      if (more) {
        store_once(from, Vector<float, VECTOR>{});
      }
      store_once(grad_value + row * outer + i, convert<scalar_t>(sum.element));
    }
  }
}

}  // namespace shared_ops
