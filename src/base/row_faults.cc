// SPDX-License-Identifier: Apache-2.0
#include "base/row_faults.h"

#include <mutex>
#include <set>

#include "base/error.h"
#include "base/log.h"

namespace selfalign {
namespace {

void warn_once(const std::string& text) {
  static std::mutex mutex;
  static std::set<std::string> said;
  const std::lock_guard<std::mutex> lock(mutex);
  if (said.insert(text).second) log_warning(text);
}

}  // namespace

void RowFaults::take_row(const std::function<void()>& take) {
  try {
    take();
    ++num_rows_;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kInput) throw;
    add(error.what());
  }
}

void RowFaults::add(const std::string& fault) {
  ++num_rows_;
  if (++num_faults_ == 1) first_ = fault;
}

void RowFaults::finish() const {
  if (num_faults_ == 0) return;
  if (num_faults_ == num_rows_) {
    throw Error(ErrorKind::kInput, num_rows_ == 1
                                       ? first_
                                       : str(first_, "; of ", num_rows_,
                                             " rows none can be used"));
  }
  warn_once(str(path_, ": ", num_faults_, " of ", num_rows_,
                " rows cannot be used and are left out; the first: ", first_));
}

}  // namespace selfalign
