// SPDX-License-Identifier: Apache-2.0
// The style sheet of the report's page, a text of its own because the page
// allows it by its hash.
#pragma once

namespace selfalign::report {

// Text on its ground has a contrast of 4.5 to 1 or more in light and dark.
extern const char kReportStyle[];

}  // namespace selfalign::report
