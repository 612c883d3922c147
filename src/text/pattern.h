// SPDX-License-Identifier: Apache-2.0
// Regular expressions of tokenizer.json. They are in Oniguruma's syntax and run
// on PCRE2 without its JIT and under a match limit that grows with the text, so
// that a pattern from a model folder can neither run code nor take more than
// linear time.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace selfalign::text {

// Oniguruma to PCRE2: classes that mean something else there, sets in sets and
// their intersections. With `newer` classes hold what Unicode has got since the
// version that PCRE2 knows, which makes them slower: only a text that has such
// characters is worth it. Error kInput names `where` and what has no
// counterpart.
std::string to_pcre2(const std::string& pattern, bool newer,
                     const std::string& where);
bool has_newer_characters(std::string_view text);

// `text` as a pattern that matches exactly it.
std::string quote_pattern(std::string_view text);

class Pattern {
 public:
  // Error kInput if it is not understood.
  Pattern(const std::string& pattern, const std::string& where);
  ~Pattern();
  Pattern(Pattern&&) noexcept;

  // Memory for the searches of one thread, one at a time.
  class Scratch {
   public:
    Scratch();
    ~Scratch();
    Scratch(Scratch&&) noexcept;

   private:
    friend class Pattern;
    struct Parts;
    std::unique_ptr<Parts> parts_;
  };

  // Goes through the matches in `text`, which is UTF-8, from left to right.
  // An empty match counts but where the one before it ends, as in Oniguruma's
  // find_iter. All three outlive it.
  class Search {
   public:
    Search(const Pattern& pattern, std::string_view text, Scratch& scratch);
    // False: no more of them. Error kInput if the limit is reached.
    bool next();
    size_t begin() const { return begin_; }
    size_t end() const { return end_; }

   private:
    friend class Pattern;
    const Pattern& pattern_;
    std::string_view text_;
    Scratch& scratch_;
    bool newer_;
    size_t from_ = 0;
    size_t begin_ = 0;
    size_t end_ = 0;
    bool has_match_ = false;
  };

 private:
  bool match(Search& search) const;
  struct Code;
  std::unique_ptr<Code> code_;
  std::string where_;
};

}  // namespace selfalign::text
