// DCNv3 on CUDA: backward.
#include <torch/csrc/stable/library.h>

#include "devices.cuh"
#include "run_backward.cuh"

namespace shared_ops {
namespace {

std::tuple<Tensor, Tensor, Tensor> dcnv3_backward(const Tensor& grad_output, const Tensor& input, const Tensor& offset,
                                                  const Tensor& mask, std::vector<int64_t> kernel_size,
                                                  std::vector<int64_t> stride, std::vector<int64_t> padding,
                                                  std::vector<int64_t> dilation, int64_t groups, double offset_scale,
                                                  std::vector<bool> output_mask, bool deterministic) {
  const Convolution c =
      check_convolution(input, offset, mask, kernel_size, stride, padding, dilation, groups, offset_scale);
  check_grad_output("dcnv3", grad_output, input, c.output_shape);
  return run_backward("dcnv3", c.sizes, {"dcnv3", output_mask}, grad_output, input, offset, mask, deterministic,
                      [&](auto zero) { return WindowPoints<decltype(zero)>(c.window); });
}

}  // namespace
}  // namespace shared_ops

STABLE_TORCH_LIBRARY_IMPL(shared_ops, CUDA, m) {
  m.impl("_dcnv3_backward",
         &shared_ops::serve<"shared_ops::_plain_dcnv3_backward", TORCH_BOX(&shared_ops::dcnv3_backward)>);
}
