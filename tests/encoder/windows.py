"""Windows over long texts against the reference: the reference tokenizers' own overflowing windows (truncation with a stride), each
encoded as token ids, and their mean weighted by the text's tokens.

    windows.py ECREC MINILM_FOLDER      exit 77: tokenizers, NumPy or the model is not there
"""
import json
import os
import random
import subprocess
import sys
import tempfile

try:
    import numpy as np
    from tokenizers import Tokenizer
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)

tool, minilm = sys.argv[1:3]
if not os.path.exists(minilm):
    print(f"skipped: {minilm} is not there")
    sys.exit(77)
WORDS = "wool jumper, garden hose! warm winter clothes; 48 red-blue shoes of unbelievable internationalisation é 中文 running".split()


def main():
    random.seed(2)
    texts = [" ".join(random.choice(WORDS) for _ in range(n)) for n in (3, 120, 170, 190, 700, 3000)]
    with tempfile.TemporaryDirectory() as folder:
        def path(name):
            return os.path.join(folder, name)

        def encode(*arguments):
            subprocess.run([tool, "encode", path("m.ecrec"), *arguments, "--format", "npy", "-o", path("v.npy")], check=True)
            return np.load(path("v.npy")).astype(float)
        subprocess.run([tool, "import", minilm, "-o", path("m.ecrec")], check=True, stdout=subprocess.DEVNULL)
        with open(path("texts.txt"), "w", encoding="utf-8") as f:
            f.write("\n".join(texts) + "\n")
        worst, windows = 0., 0
        for length, overlap in ((256, 0), (256, 32), (40, 20)):
            tokenizer = Tokenizer.from_file(os.path.join(minilm, "tokenizer.json"))
            tokenizer.no_padding()
            tokenizer.enable_truncation(length, stride=overlap)
            rows = [[e, *e.overflowing] for e in (tokenizer.encode(t) for t in texts)]
            with open(path("ids.jsonl"), "w", encoding="utf-8") as f:
                for row in rows:
                    f.writelines(json.dumps({"input_ids": e.ids}) + "\n" for e in row)
            vectors, at = encode("--ids", path("ids.jsonl")), 0
            got = encode("-i", path("texts.txt"), "--windows", "--overlap", str(overlap), "--max-length", str(length))
            for row, own in zip(rows, got):
                n = np.array([len(e.ids) - 2 for e in row])
                mean = (vectors[at:at + len(row)] * n[:, None]).sum(0)
                at, windows = at + len(row), windows + len(row)
                worst = max(worst, float(np.abs(mean / np.linalg.norm(mean) - own).max()))
        assert worst < 1e-6, worst
        print(f"{3 * len(texts)} texts, {windows} windows, worst difference {worst:.2g}")


main()
