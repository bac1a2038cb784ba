// What the lanes of a head tell each other about a point.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

#include "points.cuh"
#include "vector.cuh"

namespace shared_ops {

constexpr unsigned int kWholeWarp = 0xffffffffu;
constexpr uint32_t kStepRight = 0x80000000u;

// The four pixels around a point, and what each of them adds to the output: upper left, upper right, lower left and
// lower right.
template <typename T>
struct Corners {
  T weight[4];
  int32_t pixel;   // of the image, upper left; negative if the point does not count
  uint32_t steps;  // pixels from the upper row to the lower one, and kStepRight if the right column is another one

  __device__ __forceinline__ bool counts() const { return pixel >= 0; }
  __device__ __forceinline__ int32_t right() const { return static_cast<int32_t>(steps >> 31); }
  __device__ __forceinline__ int32_t down() const { return static_cast<int32_t>(steps & ~kStepRight); }
};

// A point that counts as its owner knows it, the lane that made it.
template <typename T>
struct Point {
  Axis<T> x, y;
  T weight, scale_x, scale_y;
};

// Makes a point from what is stored about it. One that does not count gets no weights.
template <typename T, typename Geometry>
__device__ __forceinline__ Corners<T> find_corners(const Geometry& geometry, const typename Geometry::Origin& origin,
                                                   uint32_t k, T x, T y, T weight, Point<T>& point) {
  const Place<T> place = geometry.place(origin, k, x, y);
  Corners<T> corners = {{T(0), T(0), T(0), T(0)}, -1, 0};
  if (counts(place.x, place.width) && counts(place.y, place.height)) {
    point = {split(place.x, place.width), split(place.y, place.height), weight, place.scale_x, place.scale_y};
    const T upper = weight * point.y.share0, lower = weight * point.y.share1;
    corners.weight[0] = upper * point.x.share0;
    corners.weight[1] = upper * point.x.share1;
    corners.weight[2] = lower * point.x.share0;
    corners.weight[3] = lower * point.x.share1;
    corners.pixel = place.start + point.y.first * place.width + point.x.first;
    corners.steps =
        (point.y.step != 0 ? static_cast<uint32_t>(place.width) : 0u) | (point.x.step != 0 ? kStepRight : 0u);
  }
  return corners;
}

// The point of lane `source` of every group of LANES. All lanes of the warp must come here together.
template <int LANES, typename T>
__device__ __forceinline__ Corners<T> broadcast(const Corners<T>& mine, int source) {
  if constexpr (LANES == 1) {
    return mine;
  }
  Corners<T> corners;
#pragma unroll
  for (int i = 0; i < 4; ++i) {
    corners.weight[i] = __shfl_sync(kWholeWarp, mine.weight[i], source, LANES);
  }
  corners.pixel = __shfl_sync(kWholeWarp, mine.pixel, source, LANES);
  corners.steps = __shfl_sync(kWholeWarp, mine.steps, source, LANES);
  return corners;
}

// Where the four pixels lie in memory, in units of `stride`, the distance between two pixels.
template <typename Offset>
struct CornerOffsets {
  Offset at[4];

  template <typename T>
  __device__ __forceinline__ CornerOffsets(const Corners<T>& corners, Offset stride, Offset first) {
    const Offset right = corners.right() ? stride : Offset(0);
    at[0] = static_cast<Offset>(corners.pixel) * stride + first;
    at[1] = at[0] + right;
    at[2] = at[0] + static_cast<Offset>(corners.down()) * stride;
    at[3] = at[2] + right;
  }
};

}  // namespace shared_ops
