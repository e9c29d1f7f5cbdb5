"""Every tokenizer against the reference (PyPI tokenizers), text by text: ids and offsets, equal or told.

    python tests/text/differential.py LIBRARY PYTHON_MODULE [--strings N] [--seed S] [--only NAME] [--variants N] [--kind KIND]

N texts for each tokenizer (default 200000: the full run): real ones of the data folders and seeded random ones. KIND: known (the six of
the data and the models that are there), variants (tokenizers trained here with random steps), all. The last line is
"N tokenizers, N texts, N differing". Exit: 0 none differs, 77 nothing to compare with, 1 else.
"""

import argparse
import ctypes as c
import gzip
import json
import os
import random
import sys
import tempfile
import time

os.environ["RUST_BACKTRACE"] = "0"

try:
    import tokenizers
    from tokenizers import Tokenizer
except ImportError:
    print("skipped: the Python package tokenizers is not there")
    sys.exit(77)

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import random_texts
import variants


class Ours:
    """A tokenizer by libecrec, from a folder."""

    def __init__(self, ecrec, context, folder):
        self.ecrec, self.lib = ecrec, ecrec._lib
        self.model = ecrec.Model.import_folder(context, folder)
        self.session = self.model._session()
        self.options = ecrec._fill(ecrec._TokenizeOptions)
        self.capacity = 0
        self.room(1 << 16)

    def room(self, n):
        self.capacity = n
        self.ids, self.offsets, self.types = (c.c_uint32 * n)(), (c.c_uint32 * (2 * n))(), (c.c_uint8 * n)()

    def encode(self, text, pair=None, special=True, max_length=0):
        """text, pair: bytes"""
        o, count = self.options, c.c_size_t()
        o.pair, o.pair_length, o.no_special, o.max_length = pair, len(pair or b""), 0 if special else 1, max_length
        err = self.ecrec._Error(size=c.sizeof(self.ecrec._Error))
        code = self.lib.ecrec_tokenize(self.model._h, self.session, text, c.c_size_t(len(text)), c.byref(o), self.ids, self.offsets, self.types,
                                       c.c_size_t(self.capacity), c.byref(count), c.byref(err))
        if code != 0 and count.value > self.capacity:
            self.room(2 * count.value)
            return self.encode(text, pair, special, max_length)
        if code != 0:
            raise self.ecrec.Error(err)
        n = count.value
        flat = self.offsets[:2 * n]
        return self.ids[:n], list(zip(flat[::2], flat[1::2])), self.types[:n]

    def windows(self, text, pair, special, max_length, stride):
        """[(ids, offsets, types)] of every window"""
        o, count, n = self.options, c.c_size_t(), c.c_size_t()
        o.pair, o.pair_length, o.no_special, o.max_length, o.stride = pair, len(pair or b""), 0 if special else 1, max_length, stride or 0xFFFFFFFF
        err = self.ecrec._Error(size=c.sizeof(self.ecrec._Error))

        def call(ids, offsets, types, capacity, starts, most):
            return self.lib.ecrec_tokenize_windows(self.model._h, self.session, text, c.c_size_t(len(text)), c.byref(o), ids, offsets, types, c.c_size_t(capacity),
                                                   starts, c.c_size_t(most), c.byref(n), c.byref(count), c.byref(err))
        if call(None, None, None, 0, None, 0) != 0:
            o.stride = 0
            raise self.ecrec.Error(err)
        room, most = count.value, n.value
        ids, offsets, types, starts = (c.c_uint32 * max(room, 1))(), (c.c_uint32 * (2 * room + 1))(), (c.c_uint8 * (room + 1))(), (c.c_uint64 * (most + 1))()
        code = call(ids, offsets, types, room or 1, starts, most)
        o.stride = 0
        if code != 0:
            raise self.ecrec.Error(err)
        flat = list(offsets)
        return [(ids[a:b], list(zip(flat[2 * a:2 * b:2], flat[2 * a + 1:2 * b:2])), types[a:b]) for a, b in zip(starts[:most], starts[1:])]

    def decode(self, ids, skip_special=True):
        out, need = c.create_string_buffer(1 << 16), c.c_size_t()
        array = (c.c_uint32 * len(ids))(*ids)
        err = self.ecrec._Error(size=c.sizeof(self.ecrec._Error))
        for _ in range(2):
            code = self.lib.ecrec_detokenize(self.model._h, self.session, array, c.c_size_t(len(ids)), 1 if skip_special else 0, out,
                                             c.c_size_t(len(out)), c.byref(need), c.byref(err))
            if code == 0:
                return out.raw[:need.value].decode("utf-8")
            out = c.create_string_buffer(need.value + 1)
        raise self.ecrec.Error(err)


def byte_starts(text):
    """The byte at which each character begins, and the end."""
    at, starts = 0, []
    for ch in text:
        starts.append(at)
        o = ord(ch)
        at += 1 if o < 0x80 else 2 if o < 0x800 else 3 if o < 0x10000 else 4
    return starts + [at]


def to_bytes(text, offsets):
    if text.isascii() and all(a <= b <= len(text) for a, b in offsets):
        return offsets
    starts = byte_starts(text)
    if any(b >= len(starts) or a > b for a, b in offsets):
        return None  # the reference points outside of its text
    return [(starts[a], starts[b]) for a, b in offsets]


def tell(name, raw, want, have):
    """The first difference, and the text around it."""
    at = next((i for i, (a, b) in enumerate(zip(want, have)) if a != b), min(len(want), len(have)))
    begin = max((want or [(0, (0, 0))])[max(0, min(at, len(want) - 1))][1][0] - 20, 0)
    print(f"{name}: token {at} of {len(want)} near byte {begin}: {raw[begin:begin + 60]!r}\n  reference {want[max(0, at - 2):at + 4]}\n  here      {have[max(0, at - 2):at + 4]}",
          flush=True)


def encode_batch(ref, texts):
    """The reference's encodings; None where it panics."""
    try:
        return ref.encode_batch(texts)
    except BaseException as e:
        if isinstance(e, KeyboardInterrupt):
            raise
    out = []
    for text in texts:
        try:
            out.append(ref.encode(text))
        except BaseException as e:
            if isinstance(e, KeyboardInterrupt):
                raise
            out.append(None)
    return out


def compare(name, ref, ours, texts, show):
    """How many of the texts (bytes or str) differ."""
    wrong, block = 0, 2000
    # a word's marks spelt in bytes that the text does not have: the reference's offsets are those of other words
    bpe = ref.model if type(ref.model).__name__ == "BPE" else None
    placed = not (bpe is not None and bpe.byte_fallback and (bpe.continuing_subword_prefix or bpe.end_of_word_suffix))
    for first in range(0, len(texts), block):
        part = texts[first:first + block]
        plain = [t.decode("utf-8", "replace") if isinstance(t, bytes) else t for t in part]
        for source, text, want in zip(part, plain, encode_batch(ref, plain)):
            if want is None:
                continue
            raw = source if isinstance(source, bytes) else source.encode()
            ids, offsets, types = ours.encode(raw)
            bad = ids != want.ids or types != want.type_ids
            if not bad and (not isinstance(source, bytes) or text.encode() == source):
                places = to_bytes(text, want.offsets)
                bad = placed and places is not None and offsets != places
            if bad:
                wrong += 1
                if wrong <= show:
                    tell(name, raw, list(zip(want.ids, to_bytes(text, want.offsets) or want.offsets, want.type_ids)), list(zip(ids, offsets, types)))
    return wrong


def compare_more(name, ref, ours, texts, show, rng):
    """Pairs, truncation, no special tokens, decoding."""
    wrong = 0
    texts = [t for t in texts if isinstance(t, str)]
    for _ in range(min(len(texts) // 10, 2000)):
        a, b, special, most = rng.choice(texts), rng.choice([None, rng.choice(texts)]), rng.random() < .7, rng.choice([0, 0, 6, 9, 16, 33])
        if most:
            ref.enable_truncation(most, direction=ref_cut.get("direction", "right"), strategy=ref_cut.get("strategy", "longest_first"))
        else:
            ref.no_truncation()
        try:
            want = ref.encode(a, b, add_special_tokens=special)
        except BaseException:
            continue
        ids, _, types = ours.encode(a.encode(), None if b is None else b.encode(), special, most)
        text = None
        if hasattr(ours.lib, "ecrec_detokenize"):
            skip = rng.random() < .5
            try:
                text = ref.decode(want.ids, skip_special_tokens=skip)
            except BaseException:
                pass
        got = None if text is None else ours.decode(want.ids, skip)
        if ids != want.ids or types != want.type_ids or got != text:
            wrong += 1
            if wrong <= show:
                print(f"{name}: pair {a[:80]!r} {b and b[:80]!r} special {special} most {most}\n  reference {want.ids[:40]} {want.type_ids[:40]} {text!r:.200}\n"
                      f"  here      {ids[:40]} {types[:40]} {got!r:.200}", flush=True)
    ref.no_truncation()
    return wrong


def compare_windows(name, ref, ours, texts, show, rng):
    """What truncation leaves over, with a stride, text by text and in pairs."""
    wrong = 0
    texts = [t for t in texts if isinstance(t, str) and len(t) < 3000]
    bpe = ref.model if type(ref.model).__name__ == "BPE" else None
    placed = not (bpe is not None and bpe.byte_fallback and (bpe.continuing_subword_prefix or bpe.end_of_word_suffix))
    for _ in range(min(len(texts) // 10, 2000)):
        a, b, special, most = rng.choice(texts), rng.choice([None, None, rng.choice(texts)]), rng.random() < .7, rng.choice([7, 9, 16, 33, 0])
        stride = rng.choice([0, 1, 2, 3, most // 2])
        try:
            if most:
                ref.enable_truncation(most, stride=stride, direction=ref_cut.get("direction", "right"), strategy=ref_cut.get("strategy", "longest_first"))
            else:
                ref.no_truncation()
            first = ref.encode(a, b, add_special_tokens=special)
        except BaseException:
            continue
        want = [first] + first.overflowing
        try:
            have = ours.windows(a.encode(), None if b is None else b.encode(), special, most, stride)
        except ours.ecrec.Error as e:
            have = str(e)
        # types of the first alone: the reference leaves those of the others as they were before its post-processor, or not
        bad = isinstance(have, str) or [e.ids for e in want] != [i for i, _, _ in have] or first.type_ids != have[0][2]
        if not bad and b is None and placed:
            bad = any(p is not None and p != o for p, o in zip([to_bytes(a, e.offsets) for e in want], [o for _, o, _ in have]))
        if bad:
            wrong += 1
            if wrong <= show:
                print(f"{name}: windows of {a[:80]!r} {b and b[:80]!r} special {special} most {most} stride {stride} {ref_cut}\n"
                      f"  reference {len(want)}: {[(e.ids, e.offsets) for e in want][:4]}\n  here      {have if isinstance(have, str) else (len(have), have[:4])}", flush=True)
    ref.no_truncation()
    return wrong


ref_cut = {}


def known(data, models):
    """(name, reference, folder or None: save the reference)"""
    base = os.path.join(data, "tokenizers")
    for name in ("bert-base-uncased", "bert-base-cased", "bert-base-chinese"):
        path = os.path.join(base, name, "vocab.txt")
        if os.path.isfile(path):
            ref = tokenizers.BertWordPieceTokenizer(path, lowercase=name.endswith("uncased"))._tokenizer
            yield name, ref, None
    for name in ("clip", "t5-small", "roberta-base"):
        path = os.path.join(base, name, "tokenizer.json")
        if os.path.isfile(path):
            yield name, Tokenizer.from_file(path), None
    gpt2 = os.path.join(base, "gpt2")
    if os.path.isdir(gpt2):
        ref = tokenizers.ByteLevelBPETokenizer(os.path.join(gpt2, "vocab.json"), os.path.join(gpt2, "merges.txt"))._tokenizer
        ref.post_processor = None
        ref.add_special_tokens([tokenizers.AddedToken("<|endoftext|>", normalized=True, special=True)])
        yield "gpt2", ref, gpt2
    if os.path.isdir(models):
        for name in sorted(os.listdir(models)):
            path = os.path.join(models, name, "tokenizer.json")
            if os.path.isfile(path):
                yield name, Tokenizer.from_file(path), None


def main():
    p = argparse.ArgumentParser()
    p.add_argument("library")
    p.add_argument("module")
    p.add_argument("--strings", type=int, default=200000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--only")
    p.add_argument("--variants", type=int, default=40)
    p.add_argument("--kind", default="all", choices=["known", "variants", "all"])
    p.add_argument("--show", type=int, default=3)
    a = p.parse_args()
    os.environ["ECREC_LIBRARY"] = a.library
    sys.path.insert(0, a.module)
    try:
        import ecrec
    except ImportError as e:
        print(f"skipped: {e}")
        sys.exit(77)
    data = os.environ.get("ECREC_DATA", "../shared/data")
    models = os.environ.get("ECREC_MODELS", os.path.expanduser("~/.cache/ecrec-models"))
    rng = random.Random(a.seed)
    real = random_texts.real(data)
    context = ecrec.Context(threads=1)
    jobs = list(known(data, models)) if a.kind != "variants" else []
    jobs += list(variants.make(a.variants, a.seed, real)) if a.kind != "known" else []
    if not jobs:
        print("skipped: no tokenizer is there")
        sys.exit(77)
    count = total = wrong = 0
    for name, ref, folder in jobs:
        if a.only and a.only not in name:
            continue
        started = time.time()
        ref_cut.clear()
        if ref.truncation:
            ref_cut.update(ref.truncation)
        with tempfile.TemporaryDirectory() as own:
            ref.no_padding()
            ref.no_truncation()
            if folder is None:
                if ref_cut:
                    ref.enable_truncation(ref_cut["max_length"], stride=0, strategy=ref_cut["strategy"], direction=ref_cut["direction"])
                ref.save(os.path.join(own, "tokenizer.json"))
                ref.no_truncation()
            try:
                ours = Ours(ecrec, context, folder or own)
            except ecrec.Error as e:
                print(f"{name}: refused: {e}")
                wrong += 1
                continue
        texts = random_texts.mix(rng, real, a.strings, list(ref.get_added_tokens_decoder().values()))
        bad = compare(name, ref, ours, texts, a.show) + compare_more(name, ref, ours, texts, a.show, rng)
        bad += compare_windows(name, ref, ours, texts, a.show, rng)
        steps = f": {ref.normalizer} | {ref.pre_tokenizer} | {str(ref.model)[:160]} | {ref.post_processor} | {list(ref.get_added_tokens_decoder().values())}" if bad else ""
        print(f"{name}: {len(texts)} texts, {bad} differing, {time.time() - started:.1f} s{steps[:1500]}", flush=True)
        count, total, wrong = count + 1, total + len(texts), wrong + bad
    print(f"{count} tokenizers, {total} texts, {wrong} differing")
    sys.exit(1 if wrong or not count else 0)


if __name__ == "__main__":
    main()
