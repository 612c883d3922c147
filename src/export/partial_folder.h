// SPDX-License-Identifier: Apache-2.0
// A folder that appears whole or not at all.
#pragma once

#include <filesystem>
#include <string>

namespace selfalign::exports {

// A folder beside the wanted one, which gets its name when all is in it and
// goes away if that does not come. Error kUsage where the wanted one is there.
class PartialFolder {
 public:
  explicit PartialFolder(const std::string& folder);
  ~PartialFolder();
  PartialFolder(const PartialFolder&) = delete;
  PartialFolder& operator=(const PartialFolder&) = delete;

  const std::string& path() const { return partial_; }
  // As it was wanted, without a slash at its end.
  const std::string& wanted() const { return folder_; }
  void publish() const;
  // Of the files in path(), the one by which it is known as partial.
  static bool is_mark(const std::filesystem::path& file);

 private:
  const std::string folder_;
  const std::string partial_;
};

}  // namespace selfalign::exports
