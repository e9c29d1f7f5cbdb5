"""Tokenising beside the reference (PyPI tokenizers), BlingFire and flash-tokenizer: the same texts, alternating, medians.

    tokenizers.py --tool ECREC --worker BENCH_TOKENIZERS [--threads 1,2] [--json OUT] [--quick]

English: titles, sentences and intents of the data; Chinese: reviews. ecrec and BlingFire run in one C program (no Python in between), the reference
by encode_batch (TOKENIZERS_PARALLELISM off for one thread, on with RAYON_NUM_THREADS for more), flash-tokenizer by encode.
One thread is measured in processor time, more in elapsed time. The last column is what the ratio is meant to be at least; the last line counts
the rows below it. Then, for each: a text of 1 and of 2 MB without blanks (linear: the time of a MB is the same), and the memory of the loaded
tokenizer: mapped from the model file, and allocated (by the model, and by a session).
"""

import argparse
import glob
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

REFERENCE = r"""
import sys, time
from tokenizers import Tokenizer
t = Tokenizer.from_file(sys.argv[1]); t.no_padding(); t.no_truncation()
texts = open(sys.argv[2], encoding="utf-8", newline="\n").read().split("\n")[:-1]
clock = time.process_time if sys.argv[3] == "1" else time.perf_counter
s = clock(); e = t.encode_batch(texts, add_special_tokens=False); s = clock() - s
print(s, sum(len(x.ids) for x in e))
"""
FLASH = r"""
import json, os, sys, time
from flash_tokenizer._core import FlashBertTokenizer
lower = json.load(open(os.path.join(sys.argv[1], "tokenizer.json")))["normalizer"]["lowercase"]
t = FlashBertTokenizer(os.path.join(sys.argv[1], "vocab.txt"), lower, 65535, True)
texts = open(sys.argv[2], encoding="utf-8", newline="\n").read().split("\n")[:-1]
s = time.process_time(); ids = [t.encode(x, "longest", 65535) for x in texts]; s = time.process_time() - s
print(s, sum(len(x) - 2 for x in ids))
"""


def texts(data, chinese, most):
    patterns = ["text/sentiment/chinese-reviews/*.txt"] if chinese else ["text/sts-b-en/*.csv", "text/intent/**/*", "behaviour/office/items.tsv", "text/matching/**/*"]
    out = []
    for pattern in patterns:
        for path in sorted(glob.glob(os.path.join(data, pattern), recursive=True)):
            if os.path.isfile(path):
                with open(path, encoding="utf-8", errors="replace", newline="\n") as f:
                    out += [x for x in (line.rstrip("\n") for line in f) if x and "\r" not in x and (chinese or x.isascii())]
    return out[:most]


def run(command, **environment):
    return subprocess.run(command, check=True, capture_output=True, text=True, env={**os.environ, **environment}).stdout


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--tool", required=True)
    p.add_argument("--worker", required=True)
    p.add_argument("--threads", default="1,2")
    p.add_argument("--json")
    p.add_argument("--quick", action="store_true")
    a = p.parse_args()
    data = os.environ.get("ECREC_DATA", "../shared/data")
    models = os.environ.get("ECREC_MODELS", os.path.expanduser("~/.cache/ecrec-models"))
    try:
        import blingfire
        bling = os.path.dirname(blingfire.__file__)
    except ImportError:
        bling = None
    try:
        import flash_tokenizer  # noqa: F401
        flash = True
    except Exception:
        flash = False
    data_of = lambda name: os.path.join(data, "tokenizers", name)
    # name, folder, Chinese, BlingFire's model, flash-tokenizer takes it, least ratio to the reference, to the others, most MB of the tokenizer
    e5 = os.path.join(models, "multilingual-e5-small-q4")
    cases = [("WordPiece, English", os.path.join(models, "all-MiniLM-L6-v2"), False, "bert_base_tok.bin", True, 30, 3, 2),
             ("WordPiece, Chinese", os.path.join(models, "bge-small-zh-v1.5"), True, "bert_chinese.bin", True, 25, 2, 2),
             ("byte-level BPE (RoBERTa), English", data_of("roberta-base"), False, None, False, 10, None, None),
             ("byte-level BPE (CLIP), English", data_of("clip"), False, None, False, 10, None, None),
             ("Unigram 32,100 (T5), English", data_of("t5-small"), False, None, False, 10, None, None),
             ("Unigram 250,002 (XLM-R), English", e5, False, None, False, 10, None, 24),
             ("Unigram 250,002 (XLM-R), Chinese", e5, True, None, False, 10, None, 24)]
    rounds, most = (3, 5000) if a.quick else (5, 20000)
    results, below = [], 0
    with tempfile.TemporaryDirectory() as own:
        for chinese in (False, True):
            with open(os.path.join(own, f"{chinese}.txt"), "w", encoding="utf-8", newline="\n") as f:
                found = texts(data, chinese, most)
                if not found:
                    sys.exit(f"tokenizers.py: no texts under {data} (set ECREC_DATA)")
                f.writelines(x + "\n" for x in found)
        print(f"{'':36s}{'threads':>8s}{'':16s}{'MB/s':>8s}{'Mtok/s':>9s}{'ecrec is':>10s}{'asked':>8s}")
        for name, folder, chinese, model, is_bert, least, least_peer, most_memory in cases:
            if not os.path.isfile(os.path.join(folder, "tokenizer.json")):
                print(f"{name}: skipped, {folder} is not there")
                continue
            alone, made = os.path.join(own, "alone"), os.path.join(own, "model.ecrec")
            os.makedirs(alone, exist_ok=True)
            with open(os.path.join(folder, "tokenizer.json"), "rb") as f, open(os.path.join(alone, "tokenizer.json"), "wb") as g:
                g.write(f.read())
            run([a.tool, "import", alone, "-o", made])
            lines = os.path.join(own, f"{chinese}.txt")
            size = os.path.getsize(lines)
            for threads in map(int, a.threads.split(",")):
                times = {}
                for _ in range(rounds):
                    command = [a.worker, made, lines, str(threads)]
                    if model and bling:
                        command += [os.path.join(bling, "libblingfiretokdll.so"), os.path.join(bling, model)]
                    for line in run(command).splitlines():
                        who, seconds, tokens, _ = line.split()
                        times.setdefault(who, []).append((float(seconds), int(tokens)))
                    out = run([sys.executable, "-c", REFERENCE, os.path.join(folder, "tokenizer.json"), lines, str(threads)],
                              TOKENIZERS_PARALLELISM="false" if threads == 1 else "true", RAYON_NUM_THREADS=str(threads)).split()
                    times.setdefault("tokenizers", []).append((float(out[0]), int(out[1])))
                    if is_bert and flash and threads == 1:
                        try:
                            out = run([sys.executable, "-c", FLASH, folder, lines]).split()
                            times.setdefault("flash-tokenizer", []).append((float(out[-2]), int(out[-1])))
                        except subprocess.CalledProcessError as e:
                            print(f"flash-tokenizer fails: {e.stderr.strip().splitlines()[-1:]}")
                            flash = False
                ours = statistics.median(s for s, _ in times["ecrec"])
                for who, runs in times.items():
                    seconds, tokens = statistics.median(s for s, _ in runs), runs[0][1]
                    ratio, asked = seconds / ours, least if who == "tokenizers" else least_peer
                    below += who != "ecrec" and ratio < asked
                    told = "" if who == "ecrec" else f"{ratio:9.1f}x{asked:7d}x"
                    print(f"{name:36s}{threads:8d} {who:15s}{size / seconds / 1e6:8.1f}{tokens / seconds / 1e6:9.2f}{told}", flush=True)
                    results.append({"case": name, "threads": threads, "who": who, "seconds": seconds, "tokens": tokens, "bytes": size})
            for line in run([a.worker, made, lines, "long"]).splitlines():
                what, *numbers = line.split()
                if what == "long":
                    seconds, tokens, length = float(numbers[0]), int(numbers[1]), int(numbers[2])
                    print(f"{name:36s}         one text of {length / 1e6:.0f} MB without blanks: {tokens} tokens, {1e9 * seconds / length:.1f} ms a MB", flush=True)
                    results.append({"case": name, "long": length, "seconds": seconds, "tokens": tokens})
                else:
                    mapped, model_bytes, session_bytes = (int(x) / 1e6 for x in numbers)
                    below += most_memory is not None and mapped + model_bytes > most_memory
                    asked = f" (asked: {most_memory} at most)" if most_memory else ""
                    print(f"{name:36s}         memory: {mapped:.2f} MB mapped, {model_bytes:.3f} MB allocated{asked}; a session {session_bytes:.2f} MB", flush=True)
                    results.append({"case": name, "mapped": int(numbers[0]), "model": int(numbers[1]), "session": int(numbers[2])})
    print(f"{below} below what is asked")
    if a.json:
        with open(a.json, "w", encoding="utf-8") as f:
            json.dump(results, f, indent=1)


if __name__ == "__main__":
    main()
