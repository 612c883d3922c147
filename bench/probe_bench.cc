// SPDX-License-Identifier: Apache-2.0
// How far models are from the first by their probes (generate/probe.h), which
// is what docs/scale.md says of its bound.
// usage: probe_bench PLACE PLACE ...
// PLACE: a model's path or address, then, each after a comma, dtype=, weights=
// and adapter=
#include <cstdio>
#include <exception>
#include <optional>
#include <sstream>
#include <string>

#include "base/error.h"
#include "base/log.h"
#include "generate/probe.h"
#include "local/workbench.h"

namespace selfalign {
namespace {

generate::Probe probe_at(const std::string& place) {
  recipe::ModelOptions model;
  std::string adapter;
  std::istringstream parts(place);
  std::getline(parts, model.path, ',');
  for (std::string part; std::getline(parts, part, ',');) {
    const size_t mark = part.find('=');
    const std::string value =
        mark == std::string::npos ? "" : part.substr(mark + 1);
    if (part.starts_with("dtype=")) {
      model.dtype = value;
    } else if (part.starts_with("weights=")) {
      model.weights = value;
    } else if (part.starts_with("adapter=")) {
      adapter = value;
    } else {
      throw Error(ErrorKind::kUsage, str("expected dtype=, weights= or "
                                         "adapter=, found ",
                                         part));
    }
  }
  local::LocalWorkbench workbench;
  const auto generator = workbench.open_generator(model, adapter);
  const auto probe = generate::probe_model(*generator);
  if (probe) return *probe;
  throw Error(ErrorKind::kFailed, place + ": it tells no log-probabilities");
}

void compare(int argc, char** argv) {
  std::optional<generate::Probe> first;
  for (int i = 1; i < argc; ++i) {
    const generate::Probe probe = probe_at(argv[i]);
    if (!first) first = probe;
    std::printf(
        "%-70s %8.4f nats%s\n", argv[i],
        generate::mean_difference(*first, probe),
        generate::difference(*first, probe).empty() ? "" : "  another model");
  }
}

}  // namespace
}  // namespace selfalign

int main(int argc, char** argv) {
  using namespace selfalign;
  try {
    set_log_level(LogLevel::kError);
    compare(argc, argv);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
  return 0;
}
