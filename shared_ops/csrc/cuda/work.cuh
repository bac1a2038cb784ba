// How the work is divided: a few lanes of a warp make one output vector, every one of them a few of its channels.
#pragma once

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>

#include "divisor.cuh"
#include "vector.cuh"

namespace shared_ops {

constexpr int kThreads = 128;

// A kernel's types and sizes known to the compiler: VECTOR channels per lane, LANES lanes per head of a query. Where
// LANES is a whole warp the lanes go round as often as the channels want, and offsets have 64 bits; else every lane has
// at most one vector, and an image fewer than 2^32 bytes.
template <typename scalar, typename param, int VECTOR_, int LANES_>
struct Variant {
  using scalar_t = scalar;
  using param_t = param;
  using T = compute_t<scalar>;
  static constexpr int VECTOR = VECTOR_, LANES = LANES_;
  static constexpr bool ANY_SIZE = LANES == 32;
  // How many points are worked on at a time, each owned by one lane; lanes beyond that repeat the first ones. The
  // variant for any size gives up speed for less code.
  static constexpr int ROUND = std::min(LANES, ANY_SIZE ? 4 : 8);
  using Offset = std::conditional_t<ANY_SIZE, int64_t, uint32_t>;
  using Values = Vector<scalar_t, VECTOR>;
  using Pair = Vector<param_t, 2>;
};

// The images and heads that one launch works on, images along the second dimension of the grid. Outputs are numbered
// within an image, query by query and head by head: that number is below 2^31, everything beyond is counted with 64
// bits.
struct Work {
  int64_t S, Q, M;
  int32_t D, K;
  int64_t first_image, images;
  int64_t sums_image;  // the one with which the sums of the backward begin
  int32_t first_head, heads;
  uint32_t items;
  Divisor by_heads;
};

// One output vector.
struct Item {
  uint32_t query;
  int32_t head;
  int64_t row;  // of [N, Q, M]
  bool exists;  // false for the lanes that are left over at the end of an image: they repeat its last item

  __device__ __forceinline__ Item(const Work& work, int64_t image, int lanes) {
    const uint32_t number = blockIdx.x * (kThreads / lanes) + threadIdx.x / lanes;
    exists = number < work.items;
    const uint32_t item = exists ? number : work.items - 1;
    query = work.by_heads.quotient(item);
    head = work.first_head + static_cast<int32_t>(work.by_heads.remainder(item, query));
    row = (image * work.Q + query) * work.M + head;
  }
};

}  // namespace shared_ops
