// SPDX-License-Identifier: Apache-2.0
// The page at "/": a chat with one served model, or with two side by side. It
// is a client of the API like any other, and fetches nothing from elsewhere.
#pragma once

#include <string>
#include <vector>

namespace selfalign::serve {

struct PageFile {
  const char* path;  // "/"
  const char* content_type;
  const char* text;
};

// The page, its style sheet and its script. They hold nothing that is secret
// and are given without a key; what the script asks the API for needs it.
const std::vector<PageFile>& page_files();
const PageFile* find_page_file(const std::string& path);  // or null

}  // namespace selfalign::serve
