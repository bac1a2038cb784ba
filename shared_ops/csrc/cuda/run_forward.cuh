// The forward of every operator, from tensors to launch.
#pragma once

#include <vector>

#include "forward.cuh"
#include "variants.cuh"

namespace shared_ops {

// Calls `f.operator()<POINTS>()` with K if that is one of the numbers listed, else with 0.
template <int... POINTS, typename F>
void dispatch_points(Counts<POINTS...>, int64_t K, const F& f) {
  const bool found = ((K == POINTS && (f.template operator()<POINTS>(), true)) || ...);
  if (!found) {
    f.template operator()<0>();
  }
}

// `geometry_of(T())` makes the geometry for positions of type T.
template <typename F>
Tensor run_forward(const char* name, const Sizes& s, const std::vector<int64_t>& output_shape, const Tensor& value,
                   const Tensor& points, const Tensor& weights, const F& geometry_of) {
  const torch::stable::accelerator::DeviceGuard guard(value.get_device_index());
  Tensor output = torch::stable::new_empty(value, output_shape);
  if (output.numel() == 0) {
    return output;
  }
  const Tensor v = readable(value), p = readable(points), w = readable(weights);
  const Work work = make_work(name, s, 0, s.N, 0, s.M);
  dispatch_types(value, points, [&]<typename scalar_t, typename param_t>() {
    const auto geometry = geometry_of(compute_t<scalar_t>());
    using Geometry = std::remove_const_t<decltype(geometry)>;
    dispatch_lanes<scalar_t, param_t>(s, [&]<typename V>() {
      using Usual = typename Geometry::template Usual<V::ANY_SIZE ? 0 : V::LANES * V::VECTOR>;
      dispatch_points(Usual(), s.K, [&]<int POINTS>() {
        launch_for_items(current_stream(value), work, V::LANES, &forward<V, POINTS, Geometry>, geometry,
                         data_of<scalar_t>(v), data_of<param_t>(p), data_of<param_t>(w),
                         mutable_data_of<scalar_t>(output));
      });
    });
  });
  return output;
}

}  // namespace shared_ops
