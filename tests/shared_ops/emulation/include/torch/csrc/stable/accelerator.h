// The device on which the emulation runs needs no guard.
#pragma once

#define DeviceGuard RealDeviceGuard
#include_next <torch/csrc/stable/accelerator.h>
#undef DeviceGuard

namespace torch::stable::accelerator {

class DeviceGuard {
 public:
  explicit DeviceGuard(DeviceIndex) {}
};

}  // namespace torch::stable::accelerator
