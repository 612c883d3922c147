// SPDX-License-Identifier: Apache-2.0
// One row of a data set of somebody's, in any of the forms there are.
#pragma once

#include "base/json.h"
#include "formats/conversation.h"

namespace selfalign::formats {

// The row as a conversation; `reason` and `detail` say why it cannot be one.
// `where` is left alone. With `prompt_only` the conversation is the user's
// first turn, and answers may be missing.
DatasetRow read_dataset_row(const Json& row, bool prompt_only);

}  // namespace selfalign::formats
