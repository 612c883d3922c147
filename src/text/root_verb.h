// SPDX-License-Identifier: Apache-2.0
// A guess at what an English instruction asks for: its root verb and the head
// noun of the object ("write", "poem"), as Self-Instruct (Wang et al. 2022,
// Figure 2) counts them to show diversity. They use a parser; this is a list of
// verbs and rules on the first words. Limits: only verbs of the list are found
// (some 200, those of instruction sets); only the first sentence with one is
// looked at; a verb that is also a noun at its beginning ("Plan B is ...")
// counts as a verb; the noun is the last word before a preposition, a clause or
// a mark, so "a list that shows ..." gives list, but an adjective after its
// noun wins over it. Questions without a request have no root verb.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace selfalign::text {

struct RootVerb {
  std::string verb;  // base form
  std::string noun;  // singular by suffix rules; "" if there is no object
};
std::optional<RootVerb> find_root_verb(std::string_view instruction);

}  // namespace selfalign::text
