# SPDX-License-Identifier: Apache-2.0
"""Tests of what cross_check.py makes of two sets of items."""

import contextlib
import io
import unittest

import cross_check

MC1 = cross_check.FIGURES[0]
MC2 = cross_check.FIGURES[1]


def ours(values, **scores):
    """One item with the choices a, b, c."""
    return {"truthfulqa": {"1": {
        "id": "1", "choices": ["a", "b", "c"],
        "values": {"zero_shot": values}, "scores": scores}}}


def theirs(values, acc):
    return {"1": {"doc": {"id": "1", "choices": ["a", "b", "c"]}, "acc": acc,
                  "filtered_resps": [[value, False] for value in values]}}


class CrossCheckTest(unittest.TestCase):

    def compared(self, mine, other, figure=MC1):
        row = cross_check.compare(mine, other, figure)
        with contextlib.redirect_stdout(io.StringIO()) as out:
            good = cross_check.report({"server": [row]}, 0.1)
        return row, good, out.getvalue()

    def test_the_same_is_good(self):
        row, good, _ = self.compared(ours([-1, -2, -3], mc1=1),
                                     theirs([-1.001, -2, -3], 1))
        self.assertTrue(good)
        self.assertEqual((row["ours"], row["theirs"]), (100, 100))
        self.assertAlmostEqual(row["largest_logprob_difference"], 0.001)
        self.assertEqual(row["differing"], [])

    def test_other_log_probabilities_are_a_fault(self):
        row, good, text = self.compared(ours([-1, -2, -3], mc1=1),
                                        theirs([-4, -2, -3], 0))
        self.assertFalse(good)
        self.assertIn("'a': -1.0000 here, -4.0000 there", text)
        self.assertFalse(row["differing"][0]["known"])

    def test_a_near_tie_may_fall_either_way(self):
        _, good, text = self.compared(ours([-1, -1.001, -3], mc1=1),
                                      theirs([-1.001, -1, -3], 0))
        self.assertTrue(good)
        self.assertIn("rounding", text)

    def test_a_tie_is_explained(self):
        _, good, text = self.compared(ours([-1, -1, -3], mc1=0),
                                      theirs([-1, -1, -3], 1))
        self.assertTrue(good)
        self.assertIn("a tie, lost here", text)

    def test_another_score_of_the_same_numbers_is_a_fault(self):
        _, good, _ = self.compared(ours([-1, -2, -3], mc1=0),
                                   theirs([-1, -2, -3], 1))
        self.assertFalse(good)

    def test_nothing_to_compare_is_a_fault(self):
        _, good, _ = self.compared(ours([-1, -2, -3], mc1=1), {})
        self.assertFalse(good)

    def test_choices_must_be_the_same(self):
        other = theirs([-1, -2, -3], 0)
        other["1"]["doc"]["choices"][2] = "d"
        _, good, text = self.compared(ours([-1, -2, -3], mc1=1), other)
        self.assertFalse(good)
        self.assertIn("choices differ: 'd'", text)

    def test_shares_differ_by_rounding(self):
        _, good, text = self.compared(ours([-1, -2, -3], mc2=0.702),
                                      theirs([-1.01, -2, -3], 0.7), MC2)
        self.assertFalse("FAILED" in text)
        self.assertTrue(good)


if __name__ == "__main__":
    unittest.main()
