// Multi-scale deformable attention on CUDA: backward.
#include <torch/csrc/stable/library.h>

#include "devices.cuh"
#include "run_backward.cuh"

namespace shared_ops {
namespace {

std::tuple<Tensor, Tensor, Tensor> ms_deform_attn_backward(const Tensor& grad_output, const Tensor& value,
                                                           std::vector<int64_t> spatial_shapes,
                                                           std::vector<int64_t> level_start_index,
                                                           const Tensor& sampling_locations,
                                                           const Tensor& attention_weights,
                                                           std::vector<bool> output_mask, bool deterministic) {
  const Attention a = check_attention(value, spatial_shapes, level_start_index, sampling_locations, attention_weights);
  check_grad_output("ms_deform_attn", grad_output, value, a.output_shape);
  return run_backward("ms_deform_attn", a.sizes, {"ms_deform_attn", output_mask}, grad_output, value,
                      sampling_locations, attention_weights, deterministic,
                      [&](auto zero) { return AttentionPoints<decltype(zero)>(a.levels, a.sizes.K); });
}

}  // namespace
}  // namespace shared_ops

STABLE_TORCH_LIBRARY_IMPL(shared_ops, CUDA, m) {
  m.impl("_ms_deform_attn_backward", &shared_ops::serve<"shared_ops::_plain_ms_deform_attn_backward",
                                                        TORCH_BOX(&shared_ops::ms_deform_attn_backward)>);
}
