import unittest

from harbor.picture import svg, telling

WATCHED = """NAME   PHASE        AGE   MESSAGE
h      Quantizing   1s    quantizes 2 of 3 candidates
h      Quantizing   3s    quantizes 2 of 3 candidates
h      Promoted     50s   gguf/Q3_K_S is stable
h      RolledBack   66s   c6e6 was rolled back
h      Starting     68s   waits for the engine of d6a6
""".splitlines()


class Picture(unittest.TestCase):
    def test_tells_each_thing_once_and_ends_with_the_rollback(self):
        self.assertEqual([line.split()[1] for line in telling(WATCHED)], ["PHASE", "Quantizing", "Promoted", "RolledBack"])

    def test_colours_what_matters(self):
        picture = svg(telling(WATCHED), "kubectl get qm -w")
        self.assertRegex(picture, r'fill="#ff8f87"[^>]*>h\xa0*RolledBack')


if __name__ == "__main__":
    unittest.main()
