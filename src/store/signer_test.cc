// SPDX-License-Identifier: Apache-2.0
// That a run is signed, and by whom, cannot be taken back or put there by
// another hand without its being seen.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/file.h"
#include "base/testing.h"
#include "store/checks.h"
#include "store/signing.h"
#include "store/store.h"
#include "store/testing.h"

namespace selfalign::store {
namespace {

namespace fs = std::filesystem;

// Of the second test of RFC 8032, section 7.1.
constexpr char kOther[] =
    "-----BEGIN PRIVATE KEY-----\n"
    "MC4CAQAwBQYDK2VwBCIEIEzNCJso/5banbbDRuwRTg9bijGfNaumJNqM9u1PuKb7\n"
    "-----END PRIVATE KEY-----\n";

class SignerTest : public ::testing::Test {
 protected:
  std::shared_ptr<const SigningKey> key(const char* text) const {
    const std::string path = scratch_.path() + "/key.pem";
    write_file_atomic(path, text);
    fs::permissions(path, fs::perms(0600));
    return std::make_shared<const SigningKey>(path);
  }
  void make_store(bool is_signed) const {
    fs::remove_all(folder_);
    const auto store = Store::open(folder_);
    if (is_signed) store->set_signing_key(key(kSigningKey));
    store->add_rows({{1, "a", 0, {}, Json::object()}});
  }
  void expect_damage(const std::string& sql) const {
    edit_store(folder_, sql);
    EXPECT_EQ(kind_of([&] { Reader::open(folder_); }), ErrorKind::kDamaged)
        << sql;
    EXPECT_EQ(kind_of([&] { Store::open(folder_); }), ErrorKind::kDamaged)
        << sql;
  }

  const ScratchFolder scratch_;
  const std::string folder_ = scratch_.path() + "/run";
};

TEST_F(SignerTest, IsNamedInTheTransactionThatSigns) {
  make_store(true);
  const auto store = Store::open(folder_);
  EXPECT_EQ(evidence_of(*store).signed_by, key(kSigningKey)->public_key());
  EXPECT_TRUE(evidence_of(*store).signature_right);
  EXPECT_TRUE(find_problems(*store).empty());
  EXPECT_EQ(kind_of([&] { store->set_signing_key(key(kOther)); }),
            ErrorKind::kUsage);
  EXPECT_EQ(kind_of([&] { store->set_meta("x", "y"); }), ErrorKind::kUsage);
  store->set_signing_key(key(kSigningKey));
  store->set_meta("x", "y");
  EXPECT_TRUE(evidence_of(*store).signature_right);
  make_store(false);
  EXPECT_EQ(evidence_of(*Store::open(folder_)).signed_by, std::nullopt);
}

TEST_F(SignerTest, ASignatureThatIsGoneOrAnothersIsDamage) {
  const std::string other = key(kOther)->public_key();
  for (const std::string& sql :
       {std::string("DELETE FROM signatures"),
        std::string("UPDATE signatures SET public_key = ''"),
        std::string("UPDATE signatures SET public_key = upper(public_key)"),
        "UPDATE signatures SET public_key = '" + other + "'",
        "INSERT INTO signatures VALUES ('" + other + "', '')",
        std::string("DELETE FROM meta WHERE name = 'store.signer'"),
        std::string("UPDATE meta SET value = '' WHERE name = 'store.signer'"),
        "UPDATE meta SET value = '" + other +
            "' WHERE name = 'store.signer'"}) {
    make_store(true);
    expect_damage(sql);
  }
  // Nor does it become a run that nobody signed.
  make_store(true);
  edit_store(folder_,
             "DELETE FROM signatures; "
             "DELETE FROM meta WHERE name = 'store.signer'");
  const auto store = Store::open(folder_);
  EXPECT_FALSE(find_problems(*store).empty());
  EXPECT_EQ(kind_of([&] { store->set_signing_key(key(kOther)); }),
            ErrorKind::kDamaged);
}

TEST_F(SignerTest, ASignatureThatNobodyMadeIsDamage) {
  const std::string other = key(kOther)->public_key();
  for (const std::string& name : {std::string(), std::string("aa"), other}) {
    make_store(false);
    expect_damage("INSERT INTO signatures VALUES ('" + name + "', '" +
                  std::string(128, '0') + "')");
  }
}

}  // namespace
}  // namespace selfalign::store
