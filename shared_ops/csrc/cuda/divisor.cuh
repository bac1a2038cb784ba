// Division by a number that is the same for all threads, without the twenty instructions of a division.
#pragma once

#include <cuda_runtime.h>

#include <cstdint>

namespace shared_ops {

// Granlund and Montgomery, Division by invariant integers using multiplication (PLDI 1994), figure 4.1, for dividends
// below 2^31, whose sum with a 31-bit number does not overflow.
class Divisor {
 public:
  Divisor() = default;

  // `divisor` must be in [1, 2^31).
  explicit Divisor(int64_t divisor) : divisor_(static_cast<uint32_t>(divisor)), shift_(0) {
    while ((int64_t{1} << shift_) < divisor) {
      ++shift_;
    }
    factor_ = static_cast<uint32_t>((((uint64_t{1} << shift_) - divisor_) << 32) / divisor_ + 1);
  }

  // `dividend` must be below 2^31.
  __device__ __forceinline__ uint32_t quotient(uint32_t dividend) const {
    return (__umulhi(dividend, factor_) + dividend) >> shift_;
  }

  __device__ __forceinline__ uint32_t remainder(uint32_t dividend, uint32_t quotient) const {
    return dividend - quotient * divisor_;
  }

 private:
  uint32_t divisor_, factor_, shift_;
};

}  // namespace shared_ops
