#include "generate/generator.h"

#include <array>

#include "base/error.h"

namespace selfalign::generate {
namespace {

constexpr std::array<const char*, 4> kFinishNames = {"stop", "length",
                                                     "no_room", "cancelled"};

}  // namespace

const char* finish_name(Finish finish) {
  return kFinishNames.at(static_cast<size_t>(finish));
}

Finish finish_from_name(const std::string& name) {
  for (size_t i = 0; i < kFinishNames.size(); ++i) {
    if (name == kFinishNames[i]) return static_cast<Finish>(i);
  }
  throw Error(ErrorKind::kInput,
              str("finish reason: expected stop, length, no_room or "
                  "cancelled, found \"",
                  name, "\""));
}

}  // namespace selfalign::generate
