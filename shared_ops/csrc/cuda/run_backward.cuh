// The backward of every operator, from tensors to launches.
#pragma once

#include <algorithm>
#include <tuple>

#include "backward.cuh"
#include "devices.cuh"
#include "ordered.cuh"
#include "sums.cuh"
#include "variants.cuh"

namespace shared_ops {

// Gathers the gradient of half-precision values share by share, in float32, and all other gradients on the way.
// `run(work, sums)` runs the kernel, which has `lanes` lanes for an output vector, for a part of the work.
template <typename scalar_t, typename F>
void run_in_shares(const char* name, const Sizes& s, int lanes, const Tensor& value, const Tensor& grad_value,
                   const F& run) {
  const int64_t wave = int64_t{kBackwardBlocks<float>} * multiprocessors(value.get_device_index());
  const Share share = share_of_sums(s, blocks_of_image(s.Q, 1, lanes), wave);
  const Tensor sums = torch::stable::new_zeros(value, {share.images, s.S, share.heads, s.D}, ScalarType::Float);
  float* from = mutable_data_of<float>(sums);
  scalar_t* to = mutable_data_of<scalar_t>(grad_value);
  for (int64_t image = 0; image < s.N; image += share.images) {
    for (int64_t head = 0; head < s.M; head += share.heads) {
      const int64_t images = std::min(share.images, s.N - image), heads = std::min(share.heads, s.M - head);
      run(make_work(name, s, image, images, head, heads), from);
      const int64_t rows = images * s.S, inner = heads * s.D;
      const bool more = image + images < s.N || head + heads < s.M;
      const auto move = s.D % 4 == 0 ? &move_sums<scalar_t, 4> : &move_sums<scalar_t, 1>;
      launch(current_stream(value), dim3(static_cast<unsigned int>(std::min<int64_t>((rows + 3) / 4, 1 << 20))), 128,
             move, rows, inner, s.M * s.D, more, from, to + (image * s.S * s.M + head) * s.D);
    }
  }
}

// `geometry_of(T())` makes the geometry for positions of type T.
template <typename F>
std::tuple<Tensor, Tensor, Tensor> run_backward(const char* name, const Sizes& s, const Wanted& wanted,
                                                const Tensor& grad_output, const Tensor& value, const Tensor& points,
                                                const Tensor& weights, bool deterministic, const F& geometry_of) {
  const torch::stable::accelerator::DeviceGuard guard(value.get_device_index());
  const bool half = is_half(value.scalar_type());
  // only these leave no element of it untouched
  const bool overwritten = s.Q > 0 && (half || deterministic);
  Tensor grad_value =
      overwritten || !wanted.value ? new_if(wanted.value, value) : torch::stable::new_zeros(value, value.sizes());
  Tensor grad_points = new_if(wanted.places(), points), grad_weights = new_if(wanted.places(), weights);
  if (weights.numel() != 0 && value.numel() != 0 && (wanted.value || wanted.places())) {
    const Tensor g = readable(grad_output), v = readable(value), p = readable(points), w = readable(weights);
    const cudaStream_t stream = current_stream(value);
    dispatch_types(value, points, [&]<typename scalar_t, typename param_t>() {
      using T = compute_t<scalar_t>;
      const auto geometry = geometry_of(T());
      using Geometry = std::remove_const_t<decltype(geometry)>;
      const auto *g_data = data_of<scalar_t>(g), *v_data = data_of<scalar_t>(v);
      const auto *p_data = data_of<param_t>(p), *w_data = data_of<param_t>(w);
      const Work all = make_work(name, s, 0, s.N, 0, s.M);
      dispatch_lanes<scalar_t, param_t>(s, [&]<typename V>() {
        const auto run = [&](const Work& work, T* sums) {
          launch_for_items(stream, work, V::LANES, &backward<V, Geometry>, geometry, g_data, v_data, p_data, w_data,
                           sums, wanted.places() ? mutable_data_of<param_t>(grad_points) : nullptr,
                           wanted.places() ? mutable_data_of<param_t>(grad_weights) : nullptr);
        };
        if (deterministic || !wanted.value) {
          if (wanted.places()) {
            run(all, nullptr);
          }
        } else if constexpr (std::is_same_v<scalar_t, T>) {
          run(all, mutable_data_of<T>(grad_value));
        } else {
          run_in_shares<scalar_t>(name, s, V::LANES, value, grad_value, run);
        }
      });
      if (deterministic && wanted.value) {
        const int64_t bands = (s.S + kBandPixels - 1) / kBandPixels, slices = (s.D + kWarp - 1) / kWarp;
        launch_for_images(stream, all, bands, s.M * slices, kWarp, &ordered_grad_value<scalar_t, param_t, Geometry>,
                          geometry, g_data, p_data, w_data, mutable_data_of<scalar_t>(grad_value));
      }
    });
  }
  return {grad_value, wanted.points ? grad_points : new_if(false, points),
          wanted.weights ? grad_weights : new_if(false, weights)};
}

}  // namespace shared_ops
