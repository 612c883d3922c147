// SPDX-License-Identifier: Apache-2.0
// No change of a store by another hand goes unseen: every column of every
// table, entries that come or go, the schema, the file's header, single bits.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "base/error.h"
#include "base/file.h"
#include "base/hash.h"
#include "base/testing.h"
#include "store/checks.h"
#include "store/live_bytes.h"
#include "store/signing.h"
#include "store/sqlite.h"
#include "store/store.h"
#include "store/testing.h"

namespace selfalign::store {
namespace {

namespace fs = std::filesystem;

// Of the second test of RFC 8032, section 7.1.
constexpr char kOtherPublic[] =
    "-----BEGIN PUBLIC KEY-----\n"
    "MCowBQYDK2VwAyEAPUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw=\n"
    "-----END PUBLIC KEY-----\n";

class EvidenceTest : public ::testing::Test {
 protected:
  EvidenceTest() {
    write_file_atomic(key_path_, kSigningKey);
    fs::permissions(key_path_, fs::perms(0600));
  }

  std::shared_ptr<const SigningKey> key() const {
    return std::make_shared<const SigningKey>(key_path_);
  }

  // A run with entries in every table.
  void make_store(int num_rows, bool is_signed = false) const {
    const auto store = Store::open(folder_);
    if (is_signed) store->set_signing_key(key());
    write_file_atomic(folder_ + "/made.txt", "a file");
    for (int i = 0; i < num_rows; ++i) {
      const auto key = Hasher().add(uint64_t(i)).key();
      store->add_rows({{key, "a", i, {}, Json{{"text", std::string(i, 'x')}}},
                       {key + 1, "b", i, {key}, Json::object()}});
      StoredCompletion stored;
      stored.completion.key = key + 1;
      stored.completion.text = str("text ", i);
      stored.completion.num_tokens = i;
      stored.completion.num_prompt_tokens = 7;
      stored.completion.logprob = -1.5 * i;
      stored.thought = "a thought";
      stored.fingerprint = "local";
      stored.time_s = 1.0e9 + i;
      store->add_completion(stored);
      store->set_verdicts(
          {{key, "f.1", i % 3 != 0, i % 3 ? "" : "third", "d"}});
      if (i < 3) {
        store->add_review({key, "ann", Decision::kEdit, "better", "why", 1.0});
      }
    }
    store->set_meta("recipe", "name: x");
    store->commit_manifest(
        {"a", num_rows - 1, 2, "d1", Json{{"filter", "f.1"}}}, {"made.txt"});
    store->commit_manifest(
        {"b", num_rows, num_rows, "d2", Json{{"loss", 1.5}}});
  }

  std::vector<Problem> problems() const {
    try {
      return find_problems(*Reader::open(folder_));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kDamaged) << error.what();
      return {{"", "", error.what(), ""}};
    }
  }

  // What is found after `damage`, which is taken back.
  std::vector<Problem> found_after(const std::function<void()>& damage) const {
    fs::remove_all(folder_ + ".sound");
    fs::copy(folder_, folder_ + ".sound");
    damage();
    const std::vector<Problem> found = problems();
    fs::remove_all(folder_);
    fs::rename(folder_ + ".sound", folder_);
    return found;
  }
  bool is_found(const std::string& sql) const {
    return !found_after([&] { edit_store(folder_, sql); }).empty();
  }

  const ScratchFolder scratch_;
  const std::string folder_ = scratch_.path() + "/run";
  const std::string key_path_ = scratch_.path() + "/key.pem";
};

std::vector<std::string> texts(const Database& db, const std::string& sql) {
  Statement query(db, sql.c_str());
  std::vector<std::string> all;
  while (query.step()) all.push_back(query.get_text(0));
  return all;
}

TEST_F(EvidenceTest, ASoundStoreHasNoProblems) {
  make_store(20, true);
  for (const Problem& problem : problems()) {
    ADD_FAILURE() << problem.where << ": " << problem.found;
  }
  const auto store = Reader::open(folder_);
  EXPECT_NO_THROW(require_sealed(*store));
  const Evidence evidence = evidence_of(*store);
  EXPECT_EQ(evidence.version, 3);
  EXPECT_EQ(evidence.chain.size(), 64u);
  EXPECT_TRUE(evidence.signature_right);
}

// Driven by the schema, so that a new column is covered by itself.
TEST_F(EvidenceTest, AChangeOfAnyColumnOfAnyTableIsFound) {
  make_store(10, true);
  std::vector<std::pair<std::string, std::string>> columns;
  {
    const Database db(folder_ + "/run.db", false);
    for (const std::string& table :
         texts(db, "SELECT name FROM sqlite_schema WHERE type = 'table'")) {
      for (const std::string& column :
           texts(db, "SELECT name FROM pragma_table_info('" + table + "')")) {
        columns.emplace_back(table, column);
      }
    }
  }
  ASSERT_GT(columns.size(), 40u);
  for (const auto& [table, column] : columns) {
    const std::string last = " WHERE rowid = (SELECT MAX(rowid) FROM ";
    const std::string set = "UPDATE " + table + " SET " + column + " = ";
    const std::string where = last + table + ")";
    // Another value of its type, another type, and nothing where that can be.
    EXPECT_TRUE(is_found(set + "CASE typeof(" + column + ") WHEN 'text' THEN " +
                         column +
                         " || ' ' WHEN 'blob' THEN zeroblob(2048) ELSE " +
                         column + " + 1 END" + where))
        << table << "." << column;
    EXPECT_TRUE(is_found(set + "x'00ff'" + where)) << table << "." << column;
  }
}

TEST_F(EvidenceTest, EntriesThatComeOrGoAreFound) {
  make_store(10, true);
  std::vector<std::string> tables;
  {
    const Database db(folder_ + "/run.db", false);
    tables = texts(db, "SELECT name FROM sqlite_schema WHERE type = 'table'");
  }
  for (const std::string& table : tables) {
    EXPECT_TRUE(is_found("DELETE FROM " + table +
                         " WHERE rowid = (SELECT MAX(rowid) FROM " + table +
                         ")"))
        << table;
  }
  for (const char* sql :
       {"INSERT INTO stages VALUES ('c', 2)",
        "INSERT INTO rows VALUES (5, 'a', 10, '{}')",
        "INSERT INTO rows VALUES (5, 'nobody', 0, '{}')",
        "INSERT INTO completions SELECT key, 'x', '', 'stop', 1, 1, 0.0, '', "
        "0.0 FROM rows WHERE stage = 'a' AND seq = 9",
        "INSERT INTO verdicts SELECT key, 'g.1', 1, '', '' FROM rows",
        "INSERT INTO meta VALUES ('more', '')",
        "INSERT INTO files VALUES ('more', '')",
        "INSERT INTO manifests VALUES ('c', 2, 0, 0, 'd', '{}')",
        "INSERT INTO seals VALUES ('more', zeroblob(2048))",
        "INSERT INTO signatures VALUES ('more', '')",
        "INSERT INTO annotations SELECT key, '', 'keep', '', '', 0.0 FROM rows "
        "WHERE stage = 'a' AND seq = 9"}) {
    EXPECT_TRUE(is_found(sql)) << sql;
  }
}

TEST_F(EvidenceTest, ASchemaThatIsNotOursIsFound) {
  make_store(3);
  for (const char* sql :
       {"CREATE TRIGGER t AFTER INSERT ON completions BEGIN DELETE FROM rows; "
        "END",
        "CREATE VIEW v AS SELECT * FROM rows", "CREATE INDEX i ON rows (seq)",
        "CREATE TABLE more (x)", "DROP INDEX parents_by_parent",
        "ALTER TABLE meta ADD COLUMN more TEXT",
        "ALTER TABLE rows RENAME COLUMN content TO contents",
        "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql = "
        "replace(sql, 'BIGINT', 'INTEGER') WHERE name = 'rows'",
        "PRAGMA user_version=2", "PRAGMA user_version=0",
        "PRAGMA application_id=1", "PRAGMA journal_mode=DELETE",
        "PRAGMA default_cache_size=9"}) {
    EXPECT_TRUE(is_found(sql)) << sql;
  }
  EXPECT_FALSE(found_after([&] {
                 std::ofstream(folder_ + "/run.db", std::ios::app) << "more";
               }).empty());
}

TEST_F(EvidenceTest, AThousandFlippedBitsInLiveDataAreFound) {
  make_store(60);
  const std::string path = folder_ + "/run.db";
  const std::string sound = read_file(path);
  const std::vector<size_t> live = live_bytes(sound);
  ASSERT_GT(live.size(), sound.size() / 5);
  const char* given = std::getenv("SELFALIGN_SEED");
  const auto seed = given ? std::stoul(given) : std::random_device()();
  std::mt19937 random(static_cast<unsigned>(seed));
  for (int i = 0; i < 1000; ++i) {
    const size_t at = live[random() % live.size()];
    const int bit = static_cast<int>(random() % 8);
    std::string flipped = sound;
    flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
    std::ofstream(path, std::ios::binary) << flipped;
    EXPECT_FALSE(problems().empty())
        << "seed " << seed << ": bit " << bit << " of byte " << at;
  }
  // The header has few bytes of so many.
  for (size_t at = 0; at < 100; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string flipped = sound;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << bit));
      std::ofstream(path, std::ios::binary) << flipped;
      EXPECT_FALSE(problems().empty()) << "bit " << bit << " of byte " << at;
    }
  }
}

TEST_F(EvidenceTest, AChangeStaysSeenWhenTheProgramWritesOn) {
  make_store(10);
  edit_store(folder_, "UPDATE verdicts SET detail = 'z' WHERE filter = 'f.1'");
  {
    const auto store = Store::open(folder_);
    for (const Row& row : store->rows("a")) {
      store->set_verdicts({{row.key, "f.1", true, "", "d"}});
    }
  }
  EXPECT_EQ(kind_of([&] { require_sealed(*Reader::open(folder_)); }),
            ErrorKind::kDamaged);
  EXPECT_NE(find_damage(), "");
}

TEST_F(EvidenceTest, AFailedTransactionLeavesTheSealsRight) {
  make_store(5);
  const auto store = Store::open(folder_);
  EXPECT_THROW(store->transaction([&] {
    store->set_meta("recipe", "other");
    throw std::runtime_error("stop");
  }),
               std::runtime_error);
  store->set_meta("more", "1");
  EXPECT_NO_THROW(require_sealed(*store));
}

TEST_F(EvidenceTest, OlderStoresAreReadAndSealedWhenTheyAreWritten) {
  for (const int version : {1, 2}) {
    fs::remove_all(folder_);
    make_store(10);
    make_older(folder_, version);
    {
      const auto reader = Reader::open(folder_);
      EXPECT_EQ(evidence_of(*reader).version, version);
      EXPECT_EQ(evidence_of(*reader).made_before, version);
      EXPECT_EQ(reader->rows("a").size(), 10u);
      EXPECT_TRUE(reader->files().empty());
    }
    EXPECT_TRUE(problems().empty());
    write_file_atomic(folder_ + "/report.json", "{}");
    { Store::open(folder_)->set_meta("x", "y"); }
    EXPECT_TRUE(problems().empty());
    const auto store = Reader::open(folder_);
    EXPECT_EQ(evidence_of(*store).version, 3);
    EXPECT_EQ(evidence_of(*store).made_before, version);
    EXPECT_EQ(evidence_of(*store).chain.size(), 64u);
    EXPECT_EQ(store->meta(kDone), "1");
    EXPECT_TRUE(is_found("UPDATE completions SET time_s = 0"));
  }
}

TEST_F(EvidenceTest, ASignedRunIsWrittenWithItsKeyOnly) {
  make_store(5, true);
  write_file_atomic(scratch_.path() + "/other.pem", kOtherPublic);
  const std::string other = read_public_key(scratch_.path() + "/other.pem");
  {
    const auto store = Store::open(folder_);
    EXPECT_EQ(evidence_of(*store).signed_by, key()->public_key());
    EXPECT_NE(evidence_of(*store).signed_by, other);
    EXPECT_EQ(kind_of([&] { store->set_meta("x", "y"); }), ErrorKind::kUsage);
    store->set_signing_key(key());
    store->set_meta("x", "y");
    EXPECT_TRUE(evidence_of(*store).signature_right);
  }
  // Another hand that computes the seals again cannot sign them.
  edit_store(folder_, "UPDATE signatures SET signature = '" +
                          std::string(128, '0') + "'");
  EXPECT_FALSE(problems().empty());
  const auto store = Store::open(folder_);
  EXPECT_EQ(kind_of([&] { store->set_signing_key(key()); }),
            ErrorKind::kDamaged);
}

TEST_F(EvidenceTest, NothingIsSignedThatAnotherHandChanged) {
  for (const bool is_signed : {false, true}) {
    fs::remove_all(folder_);
    make_store(5, is_signed);
    edit_store(folder_, "UPDATE completions SET thought = 'other'");
    const auto store = Store::open(folder_);
    EXPECT_EQ(kind_of([&] { store->set_signing_key(key()); }),
              ErrorKind::kDamaged)
        << is_signed;
  }
}

TEST_F(EvidenceTest, OnlyThePlainFilesOfAStoreAreOpened) {
  make_store(3);
  for (const char* name : {"/run.db", "/run.db-wal", "/run.db-shm"}) {
    for (const bool is_link : {false, true}) {
      const std::string path = folder_ + name;
      EXPECT_FALSE(found_after([&] {
                     fs::rename(folder_ + "/run.db", folder_ + "/moved");
                     if (path != folder_ + "/run.db") {
                       fs::copy(folder_ + "/moved", folder_ + "/run.db");
                     }
                     if (is_link) {
                       fs::create_symlink(folder_ + "/moved", path);
                     } else {
                       ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
                     }
                   }).empty())
          << name << is_link;
    }
  }
  fs::remove(folder_ + "/run.lock");
  ASSERT_EQ(mkfifo((folder_ + "/run.lock").c_str(), 0600), 0);
  EXPECT_EQ(kind_of([&] { Store::open(folder_); }), ErrorKind::kDamaged);
  EXPECT_EQ(Reader::writer_of(folder_), std::nullopt);
}

// A hostile value throws Error kDamaged with its column, whatever reads it.
TEST_F(EvidenceTest, ValuesOfOtherTypesAreDamage) {
  make_store(5);
  const auto read_all = [&] {
    const auto store = Reader::open(folder_);
    store->manifests();
    store->reviews("a");
    for (const std::string& stage : store->stages()) {
      store->account(stage, "f.1", 5);
      store->activity(stage);
      for (const Row& row : store->rows(stage)) {
        store->completion(row.key);
        store->verdicts(row.key);
      }
    }
  };
  EXPECT_NO_THROW(read_all());
  for (const char* set :
       {"rows SET seq = 'x' WHERE seq = 0", "rows SET seq = -1 WHERE seq = 0",
        "rows SET content = '[]'", "rows SET content = x'7b7d'",
        "rows SET key = NULL", "completions SET num_tokens = 1.5",
        "completions SET num_tokens = -1",
        "completions SET num_tokens = 99999999999",
        "completions SET logprob = 'x'", "completions SET text = x'00'",
        "completions SET finish = 'tired'", "verdicts SET kept = 'yes'",
        "manifests SET num_rows = -1", "manifests SET report = '[1]'",
        "manifests SET report = '{'",
        "stages SET name = x'00' WHERE position = 0",
        "annotations SET decision = 'perhaps'"}) {
    fs::remove_all(folder_ + ".sound");
    fs::copy(folder_, folder_ + ".sound");
    edit_store(folder_, str("UPDATE ", set));
    EXPECT_EQ(kind_of(read_all), ErrorKind::kDamaged) << set;
    fs::remove_all(folder_);
    fs::rename(folder_ + ".sound", folder_);
  }
}

TEST_F(EvidenceTest, KeysThatAreNoneAreRefused) {
  const std::string path = scratch_.path() + "/k";
  const auto kind_of_file = [&](const std::string& text) {
    write_file_atomic(path, text);
    fs::permissions(path, fs::perms(0600));
    return kind_of([&] { SigningKey{path}; });
  };
  EXPECT_EQ(kind_of_file(""), ErrorKind::kInput);
  EXPECT_EQ(kind_of_file("no key"), ErrorKind::kInput);
  EXPECT_EQ(kind_of_file(kOtherPublic), ErrorKind::kInput);
  EXPECT_EQ(kind_of([&] { read_public_key(key_path_); }), ErrorKind::kInput);
  EXPECT_EQ(kind_of([&] { SigningKey{scratch_.path()}; }), ErrorKind::kInput);
  const std::string pipe = scratch_.path() + "/pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  EXPECT_EQ(kind_of([&] { SigningKey{pipe}; }), ErrorKind::kInput);
  EXPECT_EQ(kind_of([&] { read_public_key(pipe); }), ErrorKind::kInput);
  // Of X25519: in PEM as well, and no key to sign with.
  EXPECT_EQ(kind_of_file(
                "-----BEGIN PRIVATE KEY-----\n"
                "MC4CAQAwBQYDK2VuBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMc"
                "rn9g\n-----END PRIVATE KEY-----\n"),
            ErrorKind::kInput);
  fs::permissions(key_path_, fs::perms(0640));
  EXPECT_EQ(kind_of([&] { key(); }), ErrorKind::kUsage);
}

// RFC 8032, section 7.1, test 1: the empty message.
TEST(Signing, IsEd25519) {
  EXPECT_TRUE(is_signature(
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
      "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"));
  EXPECT_FALSE(is_signature(
      "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "x",
      "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e06522490155"
      "5fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b"));
  EXPECT_FALSE(is_signature("", "", ""));
  EXPECT_FALSE(is_signature("zz", "", "zz"));
}

}  // namespace
}  // namespace selfalign::store
