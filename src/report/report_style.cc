// SPDX-License-Identifier: Apache-2.0
#include "report/report_style.h"

namespace selfalign::report {

const char kReportStyle[] = "\n"
#include "report.css.inc"
    ;

}  // namespace selfalign::report
