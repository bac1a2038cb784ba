// DCNv3 on CUDA: forward.
#include <torch/csrc/stable/library.h>

#include "devices.cuh"
#include "run_forward.cuh"

namespace shared_ops {
namespace {

Tensor dcnv3(const Tensor& input, const Tensor& offset, const Tensor& mask, std::vector<int64_t> kernel_size,
             std::vector<int64_t> stride, std::vector<int64_t> padding, std::vector<int64_t> dilation, int64_t groups,
             double offset_scale) {
  const Convolution c =
      check_convolution(input, offset, mask, kernel_size, stride, padding, dilation, groups, offset_scale);
  return run_forward("dcnv3", c.sizes, c.output_shape, input, offset, mask,
                     [&](auto zero) { return WindowPoints<decltype(zero)>(c.window); });
}

}  // namespace
}  // namespace shared_ops

STABLE_TORCH_LIBRARY_IMPL(shared_ops, CUDA, m) {
  m.impl("dcnv3", &shared_ops::serve<"shared_ops::_plain_dcnv3", TORCH_BOX(&shared_ops::dcnv3)>);
}
