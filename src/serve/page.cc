// SPDX-License-Identifier: Apache-2.0
#include "serve/page.h"

namespace selfalign::serve {
namespace {

// Files of this folder, which the build makes literals of.
constexpr char kHtml[] =
#include "page.html.inc"
    ;
constexpr char kStyle[] =
#include "page.css.inc"
    ;
constexpr char kScript[] =
#include "page.js.inc"
    ;

}  // namespace

const std::vector<PageFile>& page_files() {
  static const std::vector<PageFile> files = {
      {"/", "text/html; charset=utf-8", kHtml},
      {"/page.css", "text/css; charset=utf-8", kStyle},
      {"/page.js", "text/javascript; charset=utf-8", kScript}};
  return files;
}

const PageFile* find_page_file(const std::string& path) {
  for (const PageFile& file : page_files()) {
    if (path == file.path) return &file;
  }
  return nullptr;
}

}  // namespace selfalign::serve
