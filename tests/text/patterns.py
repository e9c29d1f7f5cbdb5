"""Split patterns against the reference (PyPI tokenizers): where does a text fall apart?

    python tests/text/patterns.py LIBRARY PYTHON_MODULE [--strings N] [--seed S] [--only NAME]

N texts (default 20000) for each of the pre-tokenizers of published models and for patterns that use what the matcher knows; every
stretch is one token, so offsets are compared. The last line is "N patterns, N texts, N differing". Exit: 0, 77 nothing to compare with, 1."""
import argparse
import json
import os
import random
import sys
import tempfile

try:
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers as pre
except ImportError:
    print("skipped: the Python package tokenizers is not there")
    sys.exit(77)

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import differential
import random_texts
from variants import CL100K, DEEPSEEK, DEEPSEEK3, GPT4, O200K, QWEN

TEKKEN = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
          r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
KIMI = (r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
        r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
        r"\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
CLIP = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
BLOOM = r" ?[^(\s|[.,!?…。，、।۔،])]+"
SCRIPTS = "Han Hiragana Katakana Hangul Latin Cyrillic Arabic Thai Hebrew Devanagari Greek Armenian Bengali Tamil Georgian Ethiopic Common Inherited".split()
POSIX = "alnum alpha ascii blank cntrl digit graph lower print punct space upper word xdigit".split()


def split(pattern, behaviour="isolated", invert=False):
    return pre.Split(Regex(pattern), behaviour, invert)


def published():
    level = lambda regex=True: pre.ByteLevel(False, True, regex)
    yield "gpt2, gpt-neox", level()
    yield "cl100k", split(CL100K)
    yield "gpt-4", split(GPT4)
    yield "o200k", split(O200K)
    yield "llama-3", split(GPT4)
    yield "qwen2", split(QWEN)
    yield "deepseek-llm", pre.Sequence([split(p) for p in DEEPSEEK])
    yield "deepseek-v3", pre.Sequence([split(p) for p in DEEPSEEK3])
    yield "clip", split(CLIP, "removed", True)
    yield "starcoder", pre.Sequence([pre.Digits(True), level()])
    yield "falcon", pre.Sequence([pre.Punctuation("contiguous"), level(), pre.Digits(False), split("[0-9][0-9][0-9]")])
    yield "bloom", pre.Sequence([split(BLOOM), level(False)])
    yield "mistral tekken", split(TEKKEN)
    yield "kimi", split(KIMI)
    yield "gemma", pre.Split(" ", "merged_with_previous")


def features(rng):
    behaviours = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]
    own = [r"^", r"$", r"\b", r"\B", r"\A", r"\z", r"\Z", r"^\s+", r"\s+$", r"\s+\z", r"\s*\Z", r"\n\Z", r"\w+\Z", r"\A.", r"\A\w+", r"^\w+", r"\w+$", r"^.*$",
           r"\b\w+\b", r"\b.", r".\b", r"\B\w", r"\w\B", r"\b[a-z]", r"\b(?:the|a|é)\b", r"\Bing\b", r"(?<=\s)\S", r"(?<!\s)\S+", r"(?<=[a-z])(?=[A-Z])",
           r"(?<=\p{L})\p{N}+", r"(?<!\p{N})\p{N}{3}(?!\p{N})", r"(?<=ab|c)d?[a-z]", r"(?<=\d{2})\D", r"(?<!\w\w\w).", r"(?<=\A|\s)\w", r"(?<=e\x{301})", r"(?=\p{Lu})", r"(?!\p{L})",
           r"(?=\s|$)", r"\S+(?=\s|$)", r"\S+(?!\S|\z)", r"(?<=\p{Han})(?=\p{Latin})|(?<=\p{Latin})(?=\p{Han})", r"a*", r"\d*", r"(?:ab|a)?", r"\s*", r"x{0,2}",
           r"[\w&&[^\d_]]+", r"[\p{L}&&\p{Latin}&&[^a-c]]+", r"[a-z&&[^aeiou]]{2}", r"[^\s&&\S]+", r"(?i)\bTHE\b", r"\p{any}", r"\p{^Greek}+",
           r"\P{Latin}+", r"[\p{Hiragana}\p{Katakana}ー]+", r"[[:^alpha:]\s]+", r"[[:upper:]][[:lower:]]*", r"\p{Alphabetic}+", r"\p{White_Space}+", r"\p{Uppercase Letter}",
           r"\p{punct}+", r"\p{lc}+", r"\p{C}", r"[\b\n]", r"\p{assigned}+", r"^\p{Zs}*|\p{Zs}*$", r"\b\d{1,3}\b|\w+", r"\p{N}(?<=1)", r"\w(?<![a-z])", r"\h+\b"]
    own += [rf"\p{{{s}}}+" for s in SCRIPTS] + [rf"[[:{p}:]]+" for p in POSIX]
    for p in own:
        yield p, split(p, rng.choice(behaviours), rng.random() < .3)


REFUSED = [r"(a)\1", r"(?<=a*)b", r"(?<=a|^)b", r"x[^y]*y", r"(?=ab)", r"\X", r"\R", r"\K", r"\G", r"(?>a+)", r"\p{Nonsense}", r"[[:nonsense:]]", r"(?<=aaaaaaaaa)b", r"(?~ab)"]


def tokenizer(step):
    t = Tokenizer(models.WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    t.pre_tokenizer = step
    return t


def main():
    p = argparse.ArgumentParser()
    p.add_argument("library")
    p.add_argument("module")
    p.add_argument("--strings", type=int, default=20000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--only")
    p.add_argument("--show", type=int, default=2)
    a = p.parse_args()
    os.environ["ECREC_LIBRARY"] = a.library
    sys.path.insert(0, a.module)
    import ecrec
    rng = random.Random(a.seed)
    real = random_texts.real(os.environ.get("ECREC_DATA", "../shared/data"))
    context = ecrec.Context(threads=1)
    count = total = wrong = 0
    texts = random_texts.mix(rng, real, a.strings, [])
    texts = [t if isinstance(t, str) else t.decode("utf-8", "replace") for t in texts]
    # lines, blanks and small words are where anchors and boundaries are
    for i in range(0, len(texts), 3):
        texts[i] = "".join(rng.choice(["a", "ab", "abc", "The", "the", "x1", "123", "12", "é", "e\u0301", "東京", "ひら", "\n", "\n", " ", "  ", "_", "-", "²", "½", "\r\n", ".", "\u200c",
                                       "ⓐ", "Ⅷ", "शिक्षा", "각", "\t", "ing", texts[i][:9]]) for _ in range(rng.randrange(9)))
    for name, step in [*published(), *features(rng)]:
        if a.only and a.only not in name:
            continue
        ref = tokenizer(step)
        with tempfile.TemporaryDirectory() as own:
            ref.save(os.path.join(own, "tokenizer.json"))
            try:
                ours = differential.Ours(ecrec, context, own)
            except ecrec.Error as e:
                print(f"{name}: refused: {e}")
                wrong += 1
                continue
        bad = differential.compare(name, ref, ours, texts, a.show)
        if bad:
            print(f"{name}: {bad} differ")
        count, total, wrong = count + 1, total + len(texts), wrong + bad
    for pattern in REFUSED if not a.only else []:
        with tempfile.TemporaryDirectory() as own:
            try:
                text = tokenizer(split("a")).to_str().replace('"Regex":"a"', '"Regex":' + json.dumps(pattern))
                with open(os.path.join(own, "tokenizer.json"), "w", encoding="utf-8") as f:
                    f.write(text)
                differential.Ours(ecrec, context, own)
                print(f"{pattern}: it should be refused")
                wrong += 1
            except ecrec.Error as e:
                if "is not supported" not in str(e):
                    print(f"{pattern}: {e}")
                    wrong += 1
    print(f"{count} patterns, {total} texts, {wrong} differing")
    sys.exit(1 if wrong or not count else 0)


main()
