// The backward of every operator, from tensors to launches.
#pragma once

#include <algorithm>
#include <tuple>

#include "backward.cuh"
#include "ordered.cuh"
#include "sums.cuh"
#include "variants.cuh"

namespace shared_ops {

// Gathers the gradient of half-precision values share by share, in float32, and all other gradients on the way.
// `run(work, sums)` runs the kernel for a part of the work.
template <typename scalar_t, typename F>
void run_in_shares(const char* name, const Sizes& s, const Tensor& value, const Tensor& grad_value, const F& run) {
  const Share share = share_of_sums(s);
  const Tensor sums = torch::stable::new_zeros(value, {share.images, s.S, share.heads, s.D}, ScalarType::Float);
  float* from = mutable_data_of<float>(sums);
  scalar_t* to = mutable_data_of<scalar_t>(grad_value);
  for (int64_t image = 0; image < s.N; image += share.images) {
    for (int64_t head = 0; head < s.M; head += share.heads) {
      const int64_t images = std::min(share.images, s.N - image), heads = std::min(share.heads, s.M - head);
      run(make_work(name, s, image, images, head, heads), from);
      const int64_t rows = images * s.S, inner = heads * s.D;
      const auto move = s.D % 4 == 0 ? &move_sums<scalar_t, 4> : &move_sums<scalar_t, 1>;
      launch(current_stream(value), dim3(static_cast<unsigned int>(std::min<int64_t>((rows + 3) / 4, 1 << 20))), 128,
             move, rows, inner, s.M * s.D, from, to + (image * s.S * s.M + head) * s.D);
    }
  }
}

// `geometry_of(T())` makes the geometry for positions of type T.
template <typename F>
std::tuple<Tensor, Tensor, Tensor> run_backward(const char* name, const Sizes& s, const Tensor& grad_output,
                                                const Tensor& value, const Tensor& points, const Tensor& weights,
                                                bool deterministic, const F& geometry_of) {
  const torch::stable::accelerator::DeviceGuard guard(value.get_device_index());
  const bool half = is_half(value.scalar_type());
  // only these leave no element of it untouched
  const bool overwritten = s.Q > 0 && (half || deterministic);
  Tensor grad_value =
      overwritten ? torch::stable::new_empty(value, value.sizes()) : torch::stable::new_zeros(value, value.sizes());
  Tensor grad_points = torch::stable::new_empty(points, points.sizes());
  Tensor grad_weights = torch::stable::new_empty(weights, weights.sizes());
  if (weights.numel() == 0 || value.numel() == 0) {
    return {grad_value, grad_points, grad_weights};
  }
  const Tensor g = readable(grad_output), v = readable(value), p = readable(points), w = readable(weights);
  const cudaStream_t stream = current_stream(value);
  dispatch_types(value, points, [&]<typename scalar_t, typename param_t>() {
    using T = compute_t<scalar_t>;
    const auto geometry = geometry_of(T());
    using Geometry = std::remove_const_t<decltype(geometry)>;
    const auto *g_data = data_of<scalar_t>(g), *v_data = data_of<scalar_t>(v);
    const auto *p_data = data_of<param_t>(p), *w_data = data_of<param_t>(w);
    const auto run = [&](const Work& work, T* sums) {
      dispatch_lanes<scalar_t, param_t>(s, [&]<typename V>() {
        launch_for_items(stream, work, V::LANES, &backward<V, Geometry>, geometry, g_data, v_data, p_data, w_data, sums,
                         mutable_data_of<param_t>(grad_points), mutable_data_of<param_t>(grad_weights));
      });
    };
    const Work all = make_work(name, s, 0, s.N, 0, s.M);
    if (deterministic) {
      run(all, nullptr);
      const int64_t bands = (s.S + kBandPixels - 1) / kBandPixels, slices = (s.D + kWarp - 1) / kWarp;
      launch_for_images(stream, all, bands, s.M * slices, kWarp, &ordered_grad_value<scalar_t, param_t, Geometry>,
                        geometry, g_data, p_data, w_data, mutable_data_of<scalar_t>(grad_value));
    } else if constexpr (std::is_same_v<scalar_t, T>) {
      run(all, mutable_data_of<T>(grad_value));
    } else {
      run_in_shares<scalar_t>(name, s, value, grad_value, run);
    }
  });
  return {grad_value, grad_points, grad_weights};
}

}  // namespace shared_ops
