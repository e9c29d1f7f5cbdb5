#!/usr/bin/env python3
"""The tables of doc/models.md: every architecture and every real model against the reference's numbers.

    models-table.py BUILD [--write]

Prints them; --write puts them into doc/models.md between its markers. Needs NumPy (tests/peers.sh), ECREC_DATA and ECREC_MODELS."""
import json, os, re, subprocess, sys, tempfile
import numpy as np

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "bench"))
import sts

top = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
data = os.environ.get("ECREC_DATA", os.path.join(top, "..", "shared", "data"))
models = os.environ.get("ECREC_MODELS", os.path.expanduser("~/.cache/ecrec-models"))

# What a folder of the kind usually brings along; all of them are read from tokenizer.json or the files beside it.
TOKENIZERS = {"albert": "SentencePiece Unigram", "bert": "WordPiece", "clip-text": "BPE with end-of-word marks", "distilbert": "WordPiece",
              "distilgpt2": "byte-level BPE", "electra": "WordPiece", "gpt2": "byte-level BPE", "llama": "BPE with byte fallback, or byte-level",
              "mistral": "BPE with byte fallback", "modernbert": "byte-level BPE", "mpnet": "WordPiece", "nomic-bert": "WordPiece", "qwen2": "byte-level BPE",
              "qwen3": "byte-level BPE", "roberta": "byte-level BPE", "t5-encoder": "SentencePiece Unigram", "xlm-roberta": "SentencePiece Unigram",
              "bert-cross-encoder": "WordPiece, pairs", "xlm-roberta-cross-encoder": "SentencePiece Unigram, pairs", "clip-vision": "images", "vit": "images"}


def architectures(build):
    out = subprocess.run([os.path.join(build, "tests/encoder/test_families"), "--table"], capture_output=True, text=True, check=True,
                         env=dict(os.environ, ECREC_DATA=data)).stdout
    lines = ["| architecture | tokenizer | states of every token | states after each layer | pooled or projected vector | logits | allowed |",
             "|---|---|---|---|---|---|---|"]
    for row in out.splitlines():
        if row.startswith("| "):
            name = row.split("|")[1].strip()
            lines.append(row.replace(f"| {name} |", f"| {name} | {TOKENIZERS[name]} |", 1))
    return lines


def run(tool, *arguments):
    subprocess.run([tool, *arguments], check=True, stdout=subprocess.DEVNULL)


def real(build):
    tool = os.path.join(build, "examples/ecrec")
    lines = ["| model | tokenizer | equal ids | vectors: largest difference | least cosine |", "|---|---|---|---|---|"]
    for name in sorted(os.listdir(os.path.join(data, "reference/models"))):
        folder, reference = os.path.join(models, name), os.path.join(data, "reference/models", name)
        if not os.path.isdir(folder):
            lines.append(f"| {name} | not fetched | | | |")
            continue
        golden = json.load(open(reference + "/goldens.json", encoding="utf-8"))
        wanted = np.load(reference + "/embeddings.npy")
        kind = json.load(open(folder + "/tokenizer.json", encoding="utf-8"))["model"].get("type", "WordPiece")
        with tempfile.TemporaryDirectory() as t:
            run(tool, "import", folder, "-o", t + "/m.ecrec")
            texts = [c["text"] for c in golden["cases"]]
            lines_ok = [i for i, x in enumerate(texts) if "\n" not in x and "\r" not in x]
            with open(t + "/texts", "w", encoding="utf-8", newline="\n") as f:
                f.writelines(texts[i] + "\n" for i in lines_ok)
            ids = subprocess.run([tool, "tokenize", t + "/m.ecrec", "-i", t + "/texts", "--max-length", str(golden["max_length"])],
                                 check=True, capture_output=True, text=True, encoding="utf-8").stdout.splitlines()
            same = sum(json.loads(line)["ids"] == golden["cases"][i]["input_ids"] for i, line in zip(lines_ok, ids))
            with open(t + "/ids", "w") as f:
                f.writelines(json.dumps(dict(input_ids=c["input_ids"])) + "\n" for c in golden["cases"])
            run(tool, "encode", t + "/m.ecrec", "--ids", t + "/ids", "--format", "npy", "-o", t + "/v.npy")
            own = np.load(t + "/v.npy")
        own, wanted = own.astype(np.float64), wanted.astype(np.float64)
        cosine = (own * wanted).sum(1) / np.linalg.norm(own, axis=1) / np.linalg.norm(wanted, axis=1)
        lines.append(f"| {name} | {kind} | {same} of {len(lines_ok)} | {np.abs(own - wanted).max():.1e} | {cosine.min():.7f} |")
    return lines


def main():
    build = sys.argv[1] if len(sys.argv) > 1 else sys.exit(__doc__)
    tables = dict(architectures=architectures(build), models=real(build), sts=sts.lines(sts.table(os.path.join(build, "examples/ecrec"))))
    if "--write" not in sys.argv:
        for lines in tables.values():
            print("\n".join(lines) + "\n")
        return
    path = os.path.join(top, "doc/models.md")
    text = open(path, encoding="utf-8").read()
    for name, lines in tables.items():
        text, n = re.subn(rf"(<!-- {name} -->\n).*?(\n<!-- end -->)", lambda m: m[1] + "\n".join(lines) + m[2], text, flags=re.S)
        if n != 1:
            sys.exit(f"doc/models.md has no place for {name}")
    open(path, "w", encoding="utf-8").write(text)


main()
