// SPDX-License-Identifier: Apache-2.0
// What a client did wrong, or what this server cannot do, in the JSON form that
// clients of the field's HTTP API understand.
#pragma once

#include <stdexcept>
#include <string>

#include "base/json.h"

namespace selfalign::serve {

class ApiError : public std::runtime_error {
 public:
  // `message` reads "where: what was expected, what was found, what to do";
  // `param` names the member of the request, "" if it is none of them.
  ApiError(int status, const std::string& message, std::string code = "",
           std::string param = "")
      : std::runtime_error(message),
        message_(message),
        status_(status),
        code_(std::move(code)),
        param_(std::move(param)) {}
  // 405: the path knows these methods alone, in the form of the header Allow.
  static ApiError not_allowed(const std::string& message, std::string allow) {
    ApiError error(405, message, "method_not_allowed");
    error.allow_ = std::move(allow);
    return error;
  }

  // The whole of it: what() ends at a NUL byte.
  const std::string& message() const { return message_; }
  int status() const { return status_; }  // of HTTP, 400 to 599
  const std::string& code() const { return code_; }
  const std::string& param() const { return param_; }
  const std::string& allow() const { return allow_; }  // "" but with 405

 private:
  std::string message_;
  int status_;
  std::string code_;
  std::string param_;
  std::string allow_;
};

// {"error": {"message", "type", "param", "code"}}
Json error_json(const ApiError& error);

}  // namespace selfalign::serve
