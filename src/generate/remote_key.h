// SPDX-License-Identifier: Apache-2.0
// Which key goes to which server. A key is given together with the server it is
// for, so that an address out of somebody else's recipe or run folder can send
// it nowhere.
#pragma once

#include <string>

#include "generate/remote_address.h"

namespace selfalign::generate {

// The key for the server at `origin`, "" where none was given: out of `file`,
// if not "", and the environment variable SELFALIGN_REMOTE_KEY, both texts of
// pairs of words, "HOST KEY": "api.openai.com sk-..., gpu1:8000 ...". A HOST
// without port stands for the port of the address's scheme. A server on this
// machine gets SELFALIGN_API_KEY, which is what `serve` asks for, if there is
// no other.
//
// Error kUsage: a file that others than its owner may read or change, texts of
// another form (never with a part of them), and a key that would go to another
// machine over http, unless key_over_http. kInput: a file that cannot be read.
std::string key_for(const Origin& origin, const std::string& file);

// Whether a key may go unencrypted to another machine; at first not.
void set_key_over_http(bool on);

// What to do where the server wants another key than it got.
std::string key_advice(const Origin& origin);

}  // namespace selfalign::generate
