#include "base/screen.h"

#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

#include <algorithm>
#include <cstdlib>

namespace selfalign {
namespace {

struct Character {
  size_t length;  // bytes
  size_t width;   // columns
};

// The first character of `text`; a wrong byte is one of one column.
Character first_character(std::string_view text) {
  utf8proc_int32_t code = 0;
  const auto length =
      utf8proc_iterate(reinterpret_cast<const utf8proc_uint8_t*>(text.data()),
                       static_cast<utf8proc_ssize_t>(text.size()), &code);
  if (length <= 0) return {1, 1};
  return {static_cast<size_t>(length),
          static_cast<size_t>(std::max(utf8proc_charwidth(code), 0))};
}

bool is_set(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0';
}

}  // namespace

bool rewrites_lines(int descriptor) {
  const char* term = std::getenv("TERM");
  return ::isatty(descriptor) == 1 && term != nullptr && *term != '\0' &&
         std::string_view(term) != "dumb";
}

bool takes_escapes(int descriptor) {
  return rewrites_lines(descriptor) && !is_set("NO_COLOR");
}

size_t screen_width(int descriptor) {
  constexpr size_t kUsual = 80;
  winsize size{};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
    return kUsual;
  }
  return size.ws_col;
}

size_t display_width(std::string_view text) {
  size_t width = 0;
  while (!text.empty()) {
    const Character next = first_character(text);
    width += next.width;
    text.remove_prefix(next.length);
  }
  return width;
}

std::string cut_to_width(std::string_view text, size_t width) {
  size_t end = 0;
  for (size_t taken = 0; end < text.size();) {
    const Character next = first_character(text.substr(end));
    taken += next.width;
    if (taken > width) break;
    end += next.length;
  }
  return std::string(text.substr(0, end));
}

}  // namespace selfalign
