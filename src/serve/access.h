// SPDX-License-Identifier: Apache-2.0
// Who may ask: pure checks of addresses, Host headers and keys.
#pragma once

#include <string>
#include <string_view>

namespace selfalign::serve {

// True for addresses that only this machine reaches: 127.0.0.0/8, ::1 and
// "localhost".
bool is_loopback(const std::string& host);

// True if the Host header, with or without a port, names this machine by
// loopback. A page of another site whose name was pointed here (DNS rebinding)
// sends that name.
bool names_loopback(std::string_view host_header);

// True if `header` is "Bearer KEY". Takes as long whatever the key's first
// wrong byte is.
bool has_bearer(std::string_view header, std::string_view key);

// Error kUsage for an address that others reach without a key, and for a key
// that cannot stand in a header.
void check_exposure(const std::string& host, const std::string& key);

}  // namespace selfalign::serve
