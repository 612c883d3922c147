# SPDX-License-Identifier: Apache-2.0
"""The tests and files that docs/security.md names are there."""

import pathlib
import re
import unittest

ROOT = pathlib.Path(__file__).parent.parent


class PromisesTest(unittest.TestCase):

    def setUp(self):
        self.text = (ROOT / "docs/security.md").read_text()

    def test_every_test_exists(self):
        defined = set()
        for path in [*ROOT.glob("src/*/*_test.cc"),
                     *ROOT.glob("tests/*/*_test.cc")]:
            defined.update(re.findall(r"^TEST(?:_[FP])?\(\s*(\w+),\s*(\w+)",
                                      path.read_text(), re.MULTILINE))
        suites = {suite for suite, _ in defined}
        named = 0
        for line in self.text.splitlines():
            suite = ""
            for new, test in re.findall(r"([A-Z]\w+)?\.([A-Z]\w+|\\\*)", line):
                suite = new or suite
                named += 1
                if test == "\\*":
                    self.assertIn(suite, suites)
                else:
                    self.assertIn((suite, test), defined)
        self.assertGreater(named, 60)

    def test_every_mechanism_exists(self):
        named = re.findall(r"\b((?:base|text|formats|store|backup|stages|"
                           r"generate|engine|serve)/\w+\.(?:h|cc))", self.text)
        self.assertGreater(len(named), 20)
        for path in [*("src/" + name for name in named),
                     *re.findall(r"tools/\w+\.py", self.text)]:
            self.assertTrue((ROOT / path).is_file(), path)


if __name__ == "__main__":
    unittest.main()
