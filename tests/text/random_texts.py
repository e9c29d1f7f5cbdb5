"""Texts to tokenise: real ones of the data folders, and random ones that look for trouble."""

import csv
import glob
import os

ZWJ = "\u200d"
EMOJI = "😀😂👍❤️🔥👩🏽💻🧑🏻🇩🇪🇫🇷🏴🕵️♂️👨👩👧👦✨🎉🥳"
SPACES = " \t\n\r\x0b\x0c\x85\u00a0\u1680\u2000\u2003\u2009\u200a\u2028\u2029\u202f\u205f\u3000\u200b\ufeff\u00ad"
WORDS = ("the shoes red running don't we're I'LL it's can't 's 'T 2024 3.14 1,000 ½ ² naïve Straße İstanbul ſtop Kelvin ﬁne ﬀ ǅ ΑΣ ὈΔΥΣΣΕΎΣ ９ Ⅷ ⑧ ㍿ ﷺ ｶﾞ カ゛ "
         "東京 你好 世界 한국어 각 각 שלום مرحبا العربية नमस्ते क्षि ไทย ภาษาไทย 🤗 C++ a_b foo.bar() <html> http://x.y/z?q=1 e@mail.com ▁ ▁▁the ## ##s ĠĠ Ġthe </w> <0x41> <s> </s> [CLS] <unk> <|endoftext|>").split(" ")
BLOCKS = [(0x20, 0x7F), (0xA0, 0x250), (0x250, 0x300), (0x300, 0x370), (0x370, 0x530), (0x590, 0x700), (0x900, 0xE00), (0xE00, 0x1000), (0x1100, 0x1200),
          (0x1AB0, 0x1B00), (0x1E00, 0x2000), (0x2000, 0x2070), (0x20A0, 0x2400), (0x2460, 0x2500), (0x2E80, 0x3400), (0x4E00, 0x9FFF), (0xA000, 0xAC00),
          (0xAC00, 0xD7A4), (0xE000, 0xF8FF), (0xF900, 0xFE00), (0xFE00, 0x10000), (0x10000, 0x11000), (0x11000, 0x12000), (0x1D400, 0x1D800),
          (0x1F000, 0x1FB00), (0x20000, 0x2FA20), (0xE0000, 0xE0200), (0x0, 0x20), (0x7F, 0xA0)]


def real(data):
    """Lines of the real sets, in a fixed order."""
    out = []

    def lines(pattern, encoding="utf-8"):
        for path in sorted(glob.glob(os.path.join(data, pattern), recursive=True)):
            if os.path.isfile(path):
                with open(path, encoding=encoding, errors="replace", newline="\n") as f:
                    out.extend(line.rstrip("\n") for line in f)

    lines("text/**/*.csv")
    lines("text/**/*.tsv")
    lines("text/**/*.txt")
    lines("text/**/*.json")
    lines("behaviour/**/items.tsv")
    return [x[:2000] for x in out if x] or ["no real texts are there", "so these two stand in"]


def character(rng):
    while True:
        k = rng.random()
        if k < .1:
            ch = rng.randrange(0x110000)
        else:
            low, high = rng.choice(BLOCKS)
            ch = rng.randrange(low, high)
        if not 0xD800 <= ch < 0xE000:
            return chr(ch)


def piece(rng, added):
    k = rng.random()
    if k < .3:
        return rng.choice(WORDS)
    if k < .4:
        return "".join(character(rng) for _ in range(rng.randrange(1, 6)))
    if k < .5:
        return "".join(rng.choice(SPACES) for _ in range(rng.randrange(1, 4)))
    if k < .58:
        return rng.choice("abcdefgAEIOU eéо") + "".join(chr(rng.randrange(0x300, 0x370)) for _ in range(rng.randrange(1, 5)))
    if k < .66:
        return ZWJ.join(rng.choice(EMOJI) for _ in range(rng.randrange(1, 5)))
    if k < .72:
        return "".join(rng.choice("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¡§«»…–—。、「」") for _ in range(rng.randrange(1, 5)))
    if k < .78:
        return "".join(rng.choice("0123456789٣४５") for _ in range(rng.randrange(1, 9)))
    if k < .84:
        return "".join(chr(rng.randrange(0xAC00, 0xD7A4) if rng.random() < .6 else rng.randrange(0x1100, 0x1200)) for _ in range(rng.randrange(1, 5)))
    if k < .88 and added:
        return rng.choice(added)
    if k < .92:
        return rng.choice("abcxyzABC") * rng.randrange(1, 40)
    return "".join(chr(rng.randrange(0x21, 0x7F)) for _ in range(rng.randrange(1, 12)))


def made(rng, added):
    k = rng.random()
    if k < .02:
        return "".join(rng.choice("abcdefghijklmnopqrstuvwxyz") for _ in range(rng.randrange(50, 3000)))
    if k < .03:
        return rng.choice(["a", "ab", "é", "東", "e\u0301", "!", "=", "0"]) * rng.randrange(20, 1500)
    if k < .06:
        return ""
    return "".join(piece(rng, added) + rng.choice(["", " ", " ", "  "]) for _ in range(rng.randrange(1, 12)))


def broken(rng, text):
    """Bytes that are not UTF-8: surrogates, cut characters, wild bytes."""
    raw = bytearray(text.encode())
    for _ in range(rng.randrange(1, 4)):
        at = rng.randrange(len(raw) + 1)
        raw[at:at] = rng.choice([b"\xed\xa0\x80", b"\xed\xb0\x80", b"\xff", b"\xc0\x80", b"\xe4\xb8", b"\xf0\x9f\x98", b"\xf5\x80\x80\x80", bytes([rng.randrange(256)])])
    return bytes(raw)


def mix(rng, lines, n, added):
    added = [t.content for t in added]
    out = []
    for _ in range(n):
        k = rng.random()
        if k < .4:
            out.append(rng.choice(lines))
        elif k < .5:
            line = rng.choice(lines)
            at = rng.randrange(len(line) + 1)
            out.append(line[:at] + piece(rng, added) + line[at:])
        elif k < .55:
            out.append(broken(rng, made(rng, added)))
        else:
            out.append(made(rng, added))
    return out
