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

// What the output vectors of a block have in common. Neighbouring queries of a head read the same pixels, which then
// are in the multiprocessor's own cache; the heads of a query share no pixel. SHARED_OPS_CUDA_ORDER=heads builds the
// second order, so that both can be timed on a device.
#if defined(SHARED_OPS_HEADS_TOGETHER)
constexpr bool kQueriesTogether = false;
#else
constexpr bool kQueriesTogether = true;
#endif

// Blocks that `lanes` lanes for an output vector make of an image. A block has outputs of one head where queries are
// together, and else goes through the heads of a query before the next one.
inline int64_t blocks_of_image(int64_t Q, int64_t heads, int lanes) {
  const int64_t items = kThreads / lanes;
  return kQueriesTogether ? (Q + items - 1) / items * heads : (Q * heads + items - 1) / items;
}

// The images and heads that one launch works on, images along the second dimension of the grid. An image has fewer than
// 2^31 outputs; everything beyond is counted with 64 bits.
struct Work {
  int64_t S, Q, M;
  int32_t D, K;
  int64_t first_image, images;
  int64_t sums_image;  // the one with which the sums of the backward begin
  int32_t first_head, heads;
  Divisor by_heads;
};

// One output vector.
struct Item {
  uint32_t query;
  int32_t head;
  int64_t row;  // of [N, Q, M]
  bool exists;  // false for the lanes that are left over at the end: they repeat the last item

  __device__ __forceinline__ Item(const Work& work, int64_t image, int lanes) {
    const uint32_t items = kThreads / lanes, place = threadIdx.x / lanes;
    uint32_t of_head;
    if constexpr (kQueriesTogether) {
      const uint32_t run = work.by_heads.quotient(blockIdx.x);
      of_head = work.by_heads.remainder(blockIdx.x, run);
      query = run * items + place;
    } else {
      const uint32_t number = blockIdx.x * items + place;
      query = work.by_heads.quotient(number);
      of_head = work.by_heads.remainder(number, query);
    }
    exists = query < work.Q;
    query = exists ? query : static_cast<uint32_t>(work.Q) - 1;
    head = work.first_head + static_cast<int32_t>(of_head);
    row = (image * work.Q + query) * work.M + head;
  }
};

}  // namespace shared_ops
