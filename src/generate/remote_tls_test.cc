// SPDX-License-Identifier: Apache-2.0
// Requests to a server with TLS in front of it, whose certificate is its own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <memory>
#include <string>
#include <thread>

#include "base/file.h"
#include "generate/remote_testing.h"

namespace selfalign::generate {
namespace {

using ::testing::HasSubstr;

// Of a subject as "IP:127.0.0.1", signed by itself.
class Certificate {
 public:
  explicit Certificate(const char* subject)
      : key_(EVP_EC_gen("P-256")), certificate_(X509_new()) {
    X509* x509 = certificate_.get();
    X509_set_version(x509, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
    X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
    X509_gmtime_adj(X509_getm_notAfter(x509), 3600);
    X509_set_pubkey(x509, key_.get());
    X509_NAME* issuer = X509_get_subject_name(x509);
    const std::string own_name = "selfalign test";
    X509_NAME_add_entry_by_NID(
        issuer, NID_commonName, MBSTRING_ASC,
        reinterpret_cast<const unsigned char*>(own_name.data()),
        int(own_name.size()), -1, 0);
    X509_set_issuer_name(x509, issuer);
    X509_EXTENSION* name =
        X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, subject);
    SELFALIGN_CHECK(name != nullptr && X509_add_ext(x509, name, -1) == 1);
    X509_EXTENSION_free(name);
    SELFALIGN_CHECK(X509_sign(x509, key_.get(), EVP_sha256()) > 0);
  }

  X509* x509() const { return certificate_.get(); }
  EVP_PKEY* key() const { return key_.get(); }
  std::string pem() const {
    const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()),
                                                        BIO_free);
    PEM_write_bio_X509(out.get(), certificate_.get());
    char* data = nullptr;
    const long size = BIO_get_mem_data(out.get(), &data);
    return {data, static_cast<size_t>(size)};
  }

 private:
  struct Free {
    void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
    void operator()(X509* certificate) const { X509_free(certificate); }
  };
  std::unique_ptr<EVP_PKEY, Free> key_;
  std::unique_ptr<X509, Free> certificate_;
};

// Passes on what comes over TLS to a port of this machine, one connection after
// another.
class TlsFront {
 public:
  TlsFront(const Certificate& own, int port)
      : port_(port), context_(SSL_CTX_new(TLS_server_method()), SSL_CTX_free) {
    SELFALIGN_CHECK(SSL_CTX_use_certificate(context_.get(), own.x509()) == 1 &&
                    SSL_CTX_use_PrivateKey(context_.get(), own.key()) == 1);
    std::signal(SIGPIPE, SIG_IGN);  // which OpenSSL does not keep off
    sockaddr_in address = loopback(0);
    socklen_t size = sizeof(address);
    auto* generic = reinterpret_cast<sockaddr*>(&address);
    SELFALIGN_CHECK(::bind(listener_, generic, size) == 0 &&
                    ::listen(listener_, 16) == 0 &&
                    ::getsockname(listener_, generic, &size) == 0);
    own_port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { accept_all(); });
  }
  ~TlsFront() {
    stopping_ = true;
    thread_.join();
    ::close(listener_);
  }

  std::string url() const {
    return str("https://127.0.0.1:", own_port_, "/v1");
  }

 private:
  static int new_socket() {
    return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  }
  static sockaddr_in loopback(int port) {
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
  }

  void accept_all() {
    while (!stopping_) {
      pollfd ready = {listener_, POLLIN, 0};
      if (::poll(&ready, 1, 20) <= 0) continue;
      const int client = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      const int server = new_socket();
      const sockaddr_in address = loopback(port_);
      const std::unique_ptr<SSL, decltype(&SSL_free)> tls(
          SSL_new(context_.get()), SSL_free);
      SSL_set_fd(tls.get(), client);
      if (SSL_accept(tls.get()) == 1 &&
          ::connect(server, reinterpret_cast<const sockaddr*>(&address),
                    sizeof(address)) == 0) {
        pass_on(tls.get(), client, server);
        SSL_shutdown(tls.get());
      }
      ::close(client);
      ::close(server);
    }
  }

  void pass_on(SSL* tls, int client, int server) const {
    std::array<char, 65536> bytes = {};
    while (!stopping_) {
      std::array<pollfd, 2> ready = {
          {{client, POLLIN, 0}, {server, POLLIN, 0}}};
      ::poll(ready.data(), ready.size(), 20);
      if (ready[0].revents != 0) {
        const int count = SSL_read(tls, bytes.data(), int(bytes.size()));
        if (count <= 0) return;
        if (::send(server, bytes.data(), size_t(count), MSG_NOSIGNAL) !=
            count) {
          return;
        }
      }
      if (ready[1].revents != 0) {
        const ssize_t count = ::recv(server, bytes.data(), bytes.size(), 0);
        if (count <= 0 || SSL_write(tls, bytes.data(), int(count)) != count) {
          return;
        }
      }
    }
  }

  const int port_;  // of who answers
  const std::unique_ptr<SSL_CTX, decltype(&SSL_CTX_free)> context_;
  const int listener_ = new_socket();
  int own_port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

class RemoteTlsTest : public RemoteTest {
 protected:
  RemoteTlsTest() { ::unsetenv("SSL_CERT_FILE"); }
  ~RemoteTlsTest() override { ::unsetenv("SSL_CERT_FILE"); }

  // Of a server whose certificate is for `subject`.
  RemoteOptions begin(const char* subject) {
    own_ = std::make_unique<Certificate>(subject);
    serve(answer_prompt);
    front_ = std::make_unique<TlsFront>(*own_, origin_of(server_->url())->port);
    RemoteOptions options = hasty();
    options.model = front_->url();
    return options;
  }
  static void trust(const Certificate& one) {
    const std::string path = ::testing::TempDir() + "/remote_tls.pem";
    write_file_atomic(path, one.pem());
    ::setenv("SSL_CERT_FILE", path.c_str(), 1);
  }

  std::unique_ptr<Certificate> own_;
  std::unique_ptr<TlsFront> front_;
};

TEST_F(RemoteTlsTest, ACertificateThatNobodyVouchesForEndsTheWorkAtOnce) {
  EXPECT_THAT(error_of(begin("IP:127.0.0.1")), HasSubstr("certificate"));
  EXPECT_EQ(server_->num_requests(), 0);
}

TEST_F(RemoteTlsTest, TheOneOfSslCertFileIsTrusted) {
  const RemoteOptions options = begin("IP:127.0.0.1");
  trust(*own_);
  expect_right(run(options, 8), 8);
}

TEST_F(RemoteTlsTest, AnotherOneIsNot) {
  const RemoteOptions options = begin("IP:127.0.0.1");
  trust(Certificate("IP:127.0.0.1"));
  EXPECT_THAT(error_of(options), HasSubstr("certificate"));
  EXPECT_EQ(server_->num_requests(), 0);
}

TEST_F(RemoteTlsTest, OneOfAnotherHostIsNot) {
  const RemoteOptions options = begin("DNS:example.com");
  trust(*own_);
  EXPECT_THAT(error_of(options), HasSubstr("127.0.0.1"));
  EXPECT_EQ(server_->num_requests(), 0);
}

TEST_F(RemoteTlsTest, AFileThatIsNotThereIsNamed) {
  const RemoteOptions options = begin("IP:127.0.0.1");
  ::setenv("SSL_CERT_FILE", "/nowhere/ca.pem", 1);
  EXPECT_THAT(error_of(options), HasSubstr("/nowhere/ca.pem"));
}

}  // namespace
}  // namespace selfalign::generate
