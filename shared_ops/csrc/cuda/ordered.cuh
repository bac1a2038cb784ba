// The gradient of the values, added up in an order that never changes, for torch.use_deterministic_algorithms(True).
//
// One warp owns a band of pixels of one head and looks at all points of that head, 32 at a time, in the order in which
// they lie in memory. Those that touch the band are added one after another, a channel per lane, in shared memory. No
// two lanes add to the same place, so no atomic addition is needed, sums are as exact as in the other kernels, and
// infinities and NaNs end up where they belong. The price is that every band looks at every point.
#pragma once

#include "corners.cuh"
#include "work.cuh"

namespace shared_ops {

constexpr int kWarp = 32;
constexpr int kBandPixels = 128;

template <typename scalar_t, typename param_t, typename Geometry>
__global__ void __launch_bounds__(kWarp)
    ordered_grad_value(const __grid_constant__ Work work, const __grid_constant__ Geometry geometry,
                       const scalar_t* __restrict__ grad_output, const param_t* __restrict__ points,
                       const param_t* __restrict__ weights, scalar_t* __restrict__ grad_value) {
  using T = compute_t<scalar_t>;
  __shared__ T sums[kBandPixels][kWarp];
  const int lane = threadIdx.x;
  const int64_t band = static_cast<int64_t>(blockIdx.x) * kBandPixels;
  const int pixels = static_cast<int>(min(work.S - band, static_cast<int64_t>(kBandPixels)));
  const int64_t points_per_head = work.Q * work.K;
  const int slices = (work.D + kWarp - 1) / kWarp;  // of 32 channels
  const int64_t image = work.first_image + blockIdx.y;
  for (int part = blockIdx.z; part < work.heads * slices; part += gridDim.z) {
    const int head = part / slices;
    const int channel = part % slices * kWarp + lane;
    const bool active = channel < work.D;
    for (int pixel = 0; pixel < kBandPixels; ++pixel) {
      sums[pixel][lane] = T(0);
    }
    // No lane reads what another one has written: no barrier is needed.
    int64_t query = lane / work.K;
    int k = lane % work.K;
    for (int64_t begin = 0; begin < points_per_head; begin += kWarp) {
      const bool exists = query < work.Q;
      const int64_t row = (image * work.Q + (exists ? query : 0)) * work.M + head;
      const StoredPoints<param_t> stored(points, weights, row, work.K);
      Point<T> point;
      const Corners<T> mine = find_corners<T>(geometry, geometry.origin(static_cast<uint32_t>(exists ? query : 0)),
                                              static_cast<uint32_t>(k), exists, stored[k], point);
      query += kWarp / work.K;
      k += kWarp % work.K;
      if (k >= work.K) {
        k -= work.K;
        ++query;
      }
      const int64_t last = static_cast<int64_t>(mine.pixel) + mine.down() + mine.right();
      const bool touches = mine.counts() && mine.pixel < band + pixels && last >= band;
      for (unsigned int left = __ballot_sync(kWholeWarp, touches); left != 0; left &= left - 1) {
        const int source = __ffs(left) - 1;
        const Corners<T> corners = broadcast<kWarp>(mine, source);
        const int64_t source_row = __shfl_sync(kWholeWarp, row, source);
        const T gradient = active ? static_cast<T>(grad_output[source_row * work.D + channel]) : T(0);
        const CornerOffsets<int64_t> offsets(corners, int64_t{1}, -band);
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          if (offsets.at[i] >= 0 && offsets.at[i] < pixels) {
            sums[offsets.at[i]][lane] += corners.weight[i] * gradient;
          }
        }
      }
    }
    if (active) {
      for (int pixel = 0; pixel < pixels; ++pixel) {
        const int64_t at = (image * work.S + band + pixel) * work.M + head;
        grad_value[at * work.D + channel] = static_cast<scalar_t>(sums[pixel][lane]);
      }
    }
  }
}

}  // namespace shared_ops
