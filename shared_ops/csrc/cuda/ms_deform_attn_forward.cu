// Multi-scale deformable attention on CUDA: forward.
#include <torch/csrc/stable/library.h>

#include "devices.cuh"
#include "run_forward.cuh"

namespace shared_ops {
namespace {

Tensor ms_deform_attn(const Tensor& value, std::vector<int64_t> spatial_shapes, std::vector<int64_t> level_start_index,
                      const Tensor& sampling_locations, const Tensor& attention_weights) {
  const Attention a = check_attention(value, spatial_shapes, level_start_index, sampling_locations, attention_weights);
  return run_forward("ms_deform_attn", a.sizes, a.output_shape, value, sampling_locations, attention_weights,
                     [&](auto zero) { return AttentionPoints<decltype(zero)>(a.levels, a.sizes.K); });
}

}  // namespace
}  // namespace shared_ops

STABLE_TORCH_LIBRARY_IMPL(shared_ops, CUDA, m) {
  m.impl("ms_deform_attn",
         &shared_ops::serve<"shared_ops::_plain_ms_deform_attn", TORCH_BOX(&shared_ops::ms_deform_attn)>);
}
