// SPDX-License-Identifier: Apache-2.0
// Whether a client still waits for its answer.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "serve/http_connection.h"

namespace selfalign::serve {

using boost::system::error_code;

// Readable while nothing is expected: the end, or an early next request, which
// is read so that the end behind it is seen.
void Connection::watch_client() {
  socket_.async_wait(Socket::wait_read, [self = shared_from_this(),
                                         turn = turn_](error_code error) {
    if (!self->is_answering(turn)) return;
    error ? self->give_up_client() : self->on_client_input();
  });
}

void Connection::on_client_input() {
  constexpr size_t kMost = 16 << 10;  // at once
  const size_t room = std::min(kMost, buffer_.max_size() - buffer_.size());
  if (room == 0) return probe_client();  // what stands behind it is not seen
  const auto space = buffer_.prepare(room);
  const ssize_t count =
      ::recv(socket_.native_handle(), space.data(), space.size(), MSG_DONTWAIT);
  if (count == 0) return probe_client();
  if (count > 0) {
    buffer_.commit(static_cast<size_t>(count));
  } else if (errno != EAGAIN && errno != EINTR) {
    return give_up_client();
  }
  watch_client();
}

// The client sends no more: it waits for its answer, or it has gone, which
// looks the same. Only what is sent to it tells, for nobody's system takes it.
// So the first bytes that every answer has are sent beforehand, one now and
// others later, since the client may still go; in a stream it is a comment.
void Connection::probe_client() {
  if (num_probes_ == 0) wait_for_reset(turn_);
  if (is_reset()) return give_up_client();
  if (!writing_) send_probe();
  if (phase_ != Phase::kWorking) return;
  constexpr int kMostDoublings = 7;
  probe_timer_.expires_after(
      std::chrono::seconds(1 << std::min(num_probes_++, kMostDoublings)));
  probe_timer_.async_wait(
      [self = shared_from_this(), turn = turn_](error_code error) {
        if (!error && self->is_answering(turn)) self->probe_client();
      });
}

void Connection::wait_for_reset(uint64_t turn) {
  socket_.async_wait(Socket::wait_error,
                     [self = shared_from_this(), turn](error_code error) {
                       if (error || !self->is_answering(turn)) return;
                       if (self->is_reset()) self->give_up_client();
                     });
}

bool Connection::is_reset() {
  pollfd found = {socket_.native_handle(), 0, 0};  // asks for errors alone
  return ::poll(&found, 1, 0) > 0 && (found.revents & (POLLERR | POLLHUP)) != 0;
}

void Connection::give_up_client() {
  if (phase_ == Phase::kWorking) host_.metrics().request_cancelled();
  abort();
}

}  // namespace selfalign::serve
