// Which devices the library serves, and who serves the others.
#pragma once

#include <cuda_runtime.h>
#include <torch/csrc/inductor/aoti_torch/c/shim.h>
#include <torch/csrc/stable/library.h>
#include <torch/csrc/stable/macros.h>
#include <torch/headeronly/util/shim_utils.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace shared_ops {

// Compute capabilities that the library has code for, 900 being 9.0: nvcc's own list. All from kPtx on compile the PTX.
constexpr std::array kCodes = {__CUDA_ARCH_LIST__};
constexpr int kPtx = SHARED_OPS_CUDA_PTX;

// Code runs on the devices of its major version from its minor version on.
inline bool has_code_for(int capability) {
  return capability >= kPtx || std::any_of(kCodes.begin(), kCodes.end(), [&](int code) {
           return code / 100 == capability / 100 && code <= capability;
         });
}

// False also where the driver is too old for the runtime in this library: it then tells nothing about the device.
// Reading an attribute gives the device nothing to do, so a graph may be captured meanwhile.
inline bool serves(int device) {
  int major = 0, minor = 0;
  return cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device) == cudaSuccess &&
         cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, device) == cudaSuccess &&
         has_code_for(100 * major + 10 * minor);
}

inline int multiprocessors(int device) {
  int count = 0;
  STD_CUDA_CHECK(cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device));
  return count;
}

// The name of an operator as an argument of a template.
template <size_t LENGTH>
struct Name {
  char text[LENGTH];
  constexpr Name(const char (&name)[LENGTH]) { std::copy_n(name, LENGTH, text); }
};

// PyTorch 2.15's headers have a check that keeps the message of what went wrong.
#if defined(STABLE_TORCH_ERROR_CODE_CHECK)
#define SHARED_OPS_CHECK(call) STABLE_TORCH_ERROR_CODE_CHECK(call)
#else
#define SHARED_OPS_CHECK(call) TORCH_ERROR_CODE_CHECK(call)
#endif

// The kernel that is registered: `kernel` on devices that the library serves, on others the operator `plain`, which
// takes and returns the same and is Python's. The first argument of all operators is a tensor.
template <Name plain, void (*kernel)(StableIValue*, uint64_t, uint64_t)>
void serve(StableIValue* stack, uint64_t arguments, uint64_t results) {
  int32_t device = 0;
  SHARED_OPS_CHECK(aoti_torch_get_device_index(torch::stable::detail::to<AtenTensorHandle>(stack[0]), &device));
  if (serves(device)) {
    kernel(stack, arguments, results);
  } else {
    SHARED_OPS_CHECK(torch_call_dispatcher(plain.text, "", stack, TORCH_ABI_VERSION));
  }
}

}  // namespace shared_ops
