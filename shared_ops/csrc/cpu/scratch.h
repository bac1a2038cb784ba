// Memory for one thread. (std::vector would leave functions behind that other instruction sets could pick up.)
#pragma once

#include <cstdint>
#include <cstdlib>
#include <new>

#include "vector.h"

namespace shared_ops::SHARED_OPS_ISA {

// Holds `count` numbers, rounded up to whole vectors, whose bytes lie in as many whole cache lines.
template <typename T>
class Scratch {
 public:
  explicit Scratch(int64_t count) : size_(round_up(count)), data_(allocate(size_ * sizeof(T))) {}
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  ~Scratch() { std::free(data_); }

  int64_t size() const { return size_; }
  operator T*() const { return data_; }

 private:
  static constexpr size_t kLine = 64;
  static_assert(kLine % kVectorBytes == 0);

  static int64_t round_up(int64_t count) {
    constexpr int64_t kCount = kLine / sizeof(T);
    return (count + kCount - 1) / kCount * kCount;
  }
  static T* allocate(size_t bytes) {
    void* memory = std::aligned_alloc(kLine, bytes);
    if (memory == nullptr) {
      throw std::bad_alloc();
    }
    return static_cast<T*>(memory);
  }

  const int64_t size_;
  T* const data_;
};

}  // namespace shared_ops::SHARED_OPS_ISA
