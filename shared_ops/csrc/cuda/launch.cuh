// PyTorch's side of a launch: its current stream, errors, and tensors as the kernels want them.
#pragma once

#include <cuda_runtime.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/accelerator.h>
#include <torch/csrc/stable/macros.h>
#include <torch/csrc/stable/ops.h>
#include <torch/csrc/stable/tensor.h>
#include <torch/headeronly/util/shim_utils.h>

#include <algorithm>
#include <cstdint>

namespace shared_ops {

using torch::stable::Tensor;

// A grid may have this many blocks in its second and third dimension.
constexpr int64_t kMaxGrid = 65535;

// The current stream of the device that `tensor` lies on.
inline cudaStream_t current_stream(const Tensor& tensor) {
  void* stream = nullptr;
  TORCH_ERROR_CODE_CHECK(aoti_torch_get_current_cuda_stream(tensor.get_device_index(), &stream));
  return static_cast<cudaStream_t>(stream);
}

template <typename... Parameters, typename... Arguments>
void launch(cudaStream_t stream, dim3 grid, int threads, void (*kernel)(Parameters...), const Arguments&... arguments) {
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = dim3(static_cast<unsigned int>(threads));
  config.stream = stream;
  STD_CUDA_CHECK(cudaLaunchKernelEx(&config, kernel, static_cast<Parameters>(arguments)...));
}

// The tensor as kernels read it: contiguous, and beginning at a multiple of 16 bytes, as all that PyTorch allocates
// does. A view that begins in between is copied, which costs less than reading it in small pieces.
inline Tensor readable(const Tensor& tensor) {
  const Tensor whole = torch::stable::contiguous(tensor);
  return reinterpret_cast<uintptr_t>(whole.const_data_ptr()) % 16 == 0 ? whole : torch::stable::clone(whole);
}

template <typename scalar_t>
const scalar_t* data_of(const Tensor& tensor) {
  return static_cast<const scalar_t*>(tensor.const_data_ptr());
}

template <typename scalar_t>
scalar_t* mutable_data_of(const Tensor& tensor) {
  return static_cast<scalar_t*>(tensor.mutable_data_ptr());
}

}  // namespace shared_ops
