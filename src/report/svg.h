// SPDX-License-Identifier: Apache-2.0
// Writes one SVG picture, labelled by its title and description. Inside the
// report's charts only.
#pragma once

#include <sstream>
#include <string>

#include "base/counted.h"
#include "report/markup.h"

namespace selfalign::report {

// All in CSS pixels. A chart is as wide as a narrow telephone shows; the page
// puts several side by side where there is room.
inline constexpr double kChartWidth = 360.0;

// A coordinate: a tenth of a pixel is enough.
inline std::string at(double value) { return rounded(value, 1); }

class Svg {
 public:
  Svg(double width, double height, const std::string& title,
      const std::string& description, const std::string& id) {
    out_ << "<svg class=\"chart\" role=\"img\" width=\"" << at(width)
         << "\" height=\"" << at(height) << "\" viewBox=\"0 0 " << at(width)
         << " " << at(height) << "\" aria-labelledby=\"" << id << "-t " << id
         << "-d\"><title id=\"" << id << "-t\">" << html_text(title)
         << "</title><desc id=\"" << id << "-d\">" << html_text(description)
         << "</desc>";
  }
  void line(const char* type, double x1, double y1, double x2, double y2) {
    out_ << "<line class=\"" << type << "\" x1=\"" << at(x1) << "\" y1=\""
         << at(y1) << "\" x2=\"" << at(x2) << "\" y2=\"" << at(y2) << "\"/>";
  }
  void rect(const std::string& type, double x, double y, double width,
            double height) {
    out_ << "<rect class=\"" << type << "\" x=\"" << at(x) << "\" y=\"" << at(y)
         << "\" width=\"" << at(width) << "\" height=\"" << at(height)
         << "\"/>";
  }
  // anchor: start, middle, end
  void text(const std::string& type, double x, double y, const char* anchor,
            const std::string& text) {
    out_ << "<text class=\"" << type << "\" x=\"" << at(x) << "\" y=\"" << at(y)
         << "\" text-anchor=\"" << anchor << "\">" << html_text(text)
         << "</text>";
  }
  std::ostringstream& raw() { return out_; }
  std::string end() { return out_.str() + "</svg>"; }

 private:
  std::ostringstream out_;
};

}  // namespace selfalign::report
