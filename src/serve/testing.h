// SPDX-License-Identifier: Apache-2.0
// For tests of the server: a tokenizer of bytes, a generator that streams, and
// an HTTP client that can also misbehave.
#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/hash.h"
#include "base/random.h"
#include "generate/generator.h"
#include "text/tokenizer.h"

namespace selfalign::serve {

// Bytes are tokens; 256 ends a text, 257 begins one where there is a BOS.
class ByteTokenizer final : public text::Tokenizer {
 public:
  // `on_encode` is called with every text that is tokenized.
  explicit ByteTokenizer(
      bool has_bos = false,
      std::function<void(std::string_view)> on_encode = nullptr)
      : has_bos_(has_bos), on_encode_(std::move(on_encode)) {}
  size_t min_tokens(std::string_view text) const override {
    return text.size();
  }
  std::vector<int> encode(std::string_view text, bool special) const override {
    if (on_encode_) on_encode_(text);
    std::vector<int> ids;
    for (size_t i = 0; i < text.size(); ++i) {
      if (special && text.substr(i).starts_with("<end>")) {
        ids.push_back(256);
        i += 4;
      } else {
        ids.push_back(static_cast<unsigned char>(text[i]));
      }
    }
    return ids;
  }
  std::vector<int> encode_continuation(std::string_view text) const override {
    return encode(text, false);
  }
  std::string decode(const std::vector<int>& ids, bool special) const override {
    std::string text;
    for (const int id : ids) text += decode_token(id, special);
    return text;
  }
  std::string decode_token(int id, bool special) const override {
    if (id < 256) return std::string(1, static_cast<char>(id));
    return !special ? "" : id == 256 ? "<end>" : "<begin>";
  }
  int size() const override { return 258; }
  int bos() const override { return has_bos_ ? 257 : -1; }
  int eos() const override { return 256; }
  bool adds_bos() const override { return has_bos_; }
  const std::vector<int>& end_tokens() const override { return ends_; }
  int token_id(std::string_view) const override { return -1; }
  bool is_special(int id) const override { return id >= 256; }

 private:
  bool has_bos_;
  std::function<void(std::string_view)> on_encode_;
  std::vector<int> ends_ = {256};
};

struct ByteModelOptions {
  int num_slots = 4;
  double step_s = 0;    // how long a step takes
  int score_parts = 1;  // in which a context is scored
  // Called in every step and in every part of a score.
  std::function<void()> on_step = nullptr;
  std::function<void(const generate::ScoreRequest&)> on_part = nullptr;
  // The text that a row would become; default: see ByteModel::answer_to.
  std::function<std::string(const generate::Request&)> script;
};

// A model of bytes, one a step in every slot, as the engine works: rows join at
// any step, stream, and end when on_text says so. Counts what it does.
class ByteModel final : public generate::Generator {
 public:
  explicit ByteModel(ByteModelOptions options = {})
      : options_(std::move(options)) {
    if (!options_.script) options_.script = answer_of;
  }

  // "echo of PROMPT, K" and a newline, where K is drawn from the row's key.
  static std::string answer_of(const generate::Request& request) {
    return str("echo of ", prompt_of(request), ", ",
               request.sampling.temperature > 0
                   ? draw_index(request.key, 0, 1000000)
                   : 0,
               "\n");
  }
  static std::string prompt_of(const generate::Request& request) {
    if (request.prompt_tokens.empty()) {
      return (request.prefix ? *request.prefix : "") + request.suffix;
    }
    return ByteTokenizer().decode(request.prompt_tokens, true);
  }
  // Of any token after any other, -0.25 for what the most probable one is: the
  // next byte.
  static float logprob_of(int before, int token) {
    if (token == (before + 1) % 256) return -0.25F;
    return -1.0F - static_cast<float>((before * 7 + token * 3) % 64) / 16;
  }

  void generate(const generate::NextRequest& next,
                const generate::OnCompletion& done) override {
    std::vector<Slot> slots;
    while (true) {
      while (slots.size() < static_cast<size_t>(options_.num_slots)) {
        auto request = next();
        if (!request) break;
        slots.push_back({.request = std::move(*request)});
        slots.back().text = options_.script(slots.back().request);
        num_working = static_cast<int>(slots.size());
        max_working = std::max<int>(max_working, num_working);
      }
      if (slots.empty()) return;
      std::this_thread::sleep_for(
          std::chrono::duration<double>(options_.step_s));
      for (Slot& slot : slots) step(slot, done);
      std::erase_if(slots, [](const Slot& slot) { return slot.over; });
      num_working = static_cast<int>(slots.size());
      if (options_.on_step) options_.on_step();
      if (stepped_) stepped_();
    }
  }
  void when_stepped(std::function<void()> callback) override {
    stepped_ = std::move(callback);
  }

  std::unique_ptr<generate::Scoring> begin_score(
      generate::ScoreRequest request) override {
    class Parts final : public generate::Scoring {
     public:
      Parts(ByteModel& model, generate::ScoreRequest request)
          : model_(model), request_(std::move(request)) {}
      bool advance() override {
        if (model_.options_.on_part) model_.options_.on_part(request_);
        if (++num_parts_ < model_.options_.score_parts) return false;
        scores = std::move(model_.score({request_}).at(0));
        return true;
      }

     private:
      ByteModel& model_;
      const generate::ScoreRequest request_;
      int num_parts_ = 0;
    };
    return std::make_unique<Parts>(*this, std::move(request));
  }

  std::vector<generate::Scores> score(
      const std::vector<generate::ScoreRequest>& requests) override {
    std::vector<generate::Scores> all;
    for (const generate::ScoreRequest& request : requests) {
      ++num_scored;
      generate::Scores scores{.key = request.key, .continuations = {}};
      for (const auto& tokens : request.continuation_tokens) {
        generate::ContinuationScore score;
        int before = request.context_tokens.back();
        for (const int token : tokens) {
          score.tokens.push_back(token);
          score.logprobs.push_back(logprob_of(before, token));
          score.is_greedy.push_back(token == (before + 1) % 256);
          score.top_logprobs.push_back(
              top_after(before, request.num_top_logprobs));
          before = token;
        }
        scores.continuations.push_back(std::move(score));
      }
      all.push_back(std::move(scores));
    }
    return all;
  }

  void check(const generate::Request& request) const override {
    generate::check_request(request, 258);
  }
  std::string fingerprint() const override { return "bytes"; }
  int count_tokens(const std::string& text) const override {
    return static_cast<int>(text.size());
  }

  static std::atomic<int> num_working;  // of the last step
  static std::atomic<int> max_working;
  static std::atomic<int> num_cancelled;
  static std::atomic<int> num_scored;
  static std::atomic<int> num_steps;  // tokens made
  static void reset_counts() {
    num_working = max_working = num_cancelled = num_scored = num_steps = 0;
  }

 private:
  struct Slot {
    generate::Request request;
    std::string text = {};  // that it would say
    std::string said = {};
    generate::Completion completion = {};
    bool over = false;
  };

  static std::vector<generate::TokenLogprob> top_after(int before, int count) {
    std::vector<generate::TokenLogprob> top;
    top.reserve(256);
    for (int token = 0; token < 256; ++token) {
      top.push_back({token, logprob_of(before, token)});
    }
    std::stable_sort(top.begin(), top.end(), [](const auto& a, const auto& b) {
      return a.logprob > b.logprob;
    });
    top.resize(static_cast<size_t>(count));
    return top;
  }

  // Makes one byte; `over` is set when the row ended.
  void step(Slot& slot, const generate::OnCompletion& done) {
    ++num_steps;
    generate::Completion& out = slot.completion;
    const auto most = static_cast<size_t>(slot.request.sampling.max_new_tokens);
    const auto text = std::string_view(slot.text).substr(0, stop_of(slot));
    auto finish = generate::Finish::kStop;
    if (slot.said.size() < text.size()) {
      const char byte = text[slot.said.size()];
      const int before =
          slot.said.empty() ? 0 : static_cast<unsigned char>(slot.said.back());
      slot.said += byte;
      note_token(slot, before, static_cast<unsigned char>(byte));
      if (slot.request.on_text &&
          !slot.request.on_text(std::string_view(&byte, 1))) {
        --num_working;  // before it counts as cancelled
        ++num_cancelled;
        finish = generate::Finish::kCancelled;
      } else if (slot.said.size() == most) {
        finish = generate::Finish::kLength;
      } else if (slot.said.size() < text.size()) {
        return;
      }
    }
    out.key = slot.request.key;
    out.text = slot.said;
    out.num_tokens = static_cast<int>(slot.said.size());
    out.num_prompt_tokens = static_cast<int>(prompt_of(slot.request).size());
    out.finish = finish;
    slot.over = true;
    done(std::move(out));
  }

  static size_t stop_of(const Slot& slot) {
    size_t end = std::string::npos;
    for (const std::string& stop : slot.request.sampling.stop) {
      end = std::min(end, slot.text.find(stop));
    }
    return end;
  }

  static void note_token(Slot& slot, int before, int token) {
    if (!slot.request.want_logprobs) return;
    slot.completion.tokens.push_back(token);
    slot.completion.token_logprobs.push_back(logprob_of(before, token));
    slot.completion.top_logprobs.push_back(
        top_after(before, slot.request.num_top_logprobs));
  }

  ByteModelOptions options_;
  std::function<void()> stepped_;
};

inline std::atomic<int> ByteModel::num_working = 0;
inline std::atomic<int> ByteModel::max_working = 0;
inline std::atomic<int> ByteModel::num_cancelled = 0;
inline std::atomic<int> ByteModel::num_scored = 0;
inline std::atomic<int> ByteModel::num_steps = 0;

struct HttpAnswer {
  int status = 0;  // 0: none came
  std::string head;
  std::string body;  // chunks joined
};

// A client over a plain socket, which sends whatever it is told.
class TestClient {
 public:
  explicit TestClient(int port) {
    socket_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&address),
                           sizeof(address)) == 0;
  }
  ~TestClient() { close(); }
  TestClient(const TestClient&) = delete;
  TestClient& operator=(const TestClient&) = delete;

  static std::string post(const std::string& path, const std::string& body,
                          const std::string& headers = "") {
    return str("POST ", path, " HTTP/1.1\r\nHost: localhost\r\n", headers,
               "Content-Type: application/json\r\nContent-Length: ",
               body.size(), "\r\n\r\n", body);
  }
  static std::string get(const std::string& path,
                         const std::string& headers = "") {
    return str("GET ", path, " HTTP/1.1\r\nHost: localhost\r\n", headers,
               "\r\n");
  }

  bool connected() const { return connected_; }
  int socket() const { return socket_; }
  // Little of what comes waits here if nobody reads it.
  void receive_little() {
    const int small = 4096;
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
  }
  void close() {
    if (socket_ >= 0) ::close(socket_);
    socket_ = -1;
  }

  void send(const std::string& bytes) {
    for (size_t sent = 0; sent < bytes.size();) {
      const ssize_t count = ::send(socket_, bytes.data() + sent,
                                   bytes.size() - sent, MSG_NOSIGNAL);
      if (count <= 0) return;
      sent += static_cast<size_t>(count);
    }
  }

  // The next answer; status 0 if the connection ends or 20 s pass before it.
  HttpAnswer receive() {
    HttpAnswer answer;
    size_t end = std::string::npos;
    while ((end = input_.find("\r\n\r\n")) == std::string::npos) {
      if (!read_more()) return answer;
    }
    answer.head = input_.substr(0, end + 2);
    input_.erase(0, end + 4);
    const size_t at = answer.head.find("Content-Length: ");
    if (at != std::string::npos) {
      const size_t length = std::stoul(answer.head.substr(at + 16));
      while (input_.size() < length) {
        if (!read_more()) return answer;
      }
      answer.body = input_.substr(0, length);
      input_.erase(0, length);
    } else if (!receive_chunks(answer.body)) {
      return answer;
    }
    answer.status = std::stoi(answer.head.substr(9, 3));
    return answer;
  }
  HttpAnswer ask(const std::string& bytes) {
    send(bytes);
    return receive();
  }

  // Until `text` stands in the input; it stays there.
  bool wait_for(const std::string& text) {
    while (input_.find(text) == std::string::npos) {
      if (!read_more()) return false;
    }
    return true;
  }
  void end_sending() { ::shutdown(socket_, SHUT_WR); }
  // Everything until the server closes.
  std::string receive_all() {
    while (read_more()) {
    }
    return std::exchange(input_, "");
  }
  // True once the server has closed.
  bool is_closed() {
    while (read_more()) {
    }
    return ended_;
  }

 private:
  bool read_more() {
    pollfd ready = {socket_, POLLIN, 0};
    // Long enough for the slowest answer on a busy machine under a sanitizer.
    if (::poll(&ready, 1, 120'000) <= 0) return false;
    char buffer[4096];
    const ssize_t count = ::recv(socket_, buffer, sizeof(buffer), 0);
    ended_ = count <= 0;
    if (ended_) return false;
    input_.append(buffer, static_cast<size_t>(count));
    return true;
  }

  bool receive_chunks(std::string& body) {
    while (true) {
      size_t end = std::string::npos;
      while ((end = input_.find("\r\n")) == std::string::npos) {
        if (!read_more()) return false;
      }
      const size_t size = std::stoul(input_.substr(0, end), nullptr, 16);
      while (input_.size() < end + 2 + size + 2) {
        if (!read_more()) return false;
      }
      body += input_.substr(end + 2, size);
      input_.erase(0, end + 2 + size + 2);
      if (size == 0) return true;
    }
  }

  int socket_ = -1;
  bool connected_ = false;
  bool ended_ = false;
  std::string input_;
};

}  // namespace selfalign::serve
