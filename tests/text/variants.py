"""Tokenizers that nobody published: every model trained on a little text, with random steps around it."""

import random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

GPT4 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
QWEN = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
CL100K = r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+"
O200K = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
         r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = ["[\r\n]", r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-Ⴥ]+", r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", "[一-龥ࠀ-一가-퟿]+", r"\p{N}+"]
DEEPSEEK3 = [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
             "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"]
BEHAVIOURS = ["removed", "isolated", "merged_with_previous", "merged_with_next", "contiguous"]


def normalizer(rng):
    def one():
        return rng.choice([
            lambda: normalizers.NFC(), lambda: normalizers.NFD(), lambda: normalizers.NFKC(), lambda: normalizers.NFKD(), lambda: normalizers.Lowercase(),
            lambda: normalizers.StripAccents(), lambda: normalizers.Nmt(), lambda: normalizers.Strip(rng.random() < .5, rng.random() < .5),
            lambda: normalizers.Replace(rng.choice(["``", "''", "e", "東", " "]), rng.choice(["\"", "", "xy", "é"])),
            lambda: normalizers.Replace(Regex(rng.choice([r" {2,}", r"\s+", r"\p{N}", r"[aeiou]+", r"(?i)the"])), rng.choice([" ", "", "0", "é"])),
            lambda: normalizers.Prepend(rng.choice(["▁", ">>", " "])),
            lambda: normalizers.BertNormalizer(rng.random() < .7, rng.random() < .7, rng.choice([None, True, False]), rng.random() < .6),
        ])()
    k = rng.random()
    if k < .25:
        return None
    if k < .6:
        return one()
    return normalizers.Sequence([one() for _ in range(rng.randrange(2, 5))])


def pre_tokenizer(rng):
    def one():
        return rng.choice([
            lambda: pre_tokenizers.BertPreTokenizer(), lambda: pre_tokenizers.Whitespace(), lambda: pre_tokenizers.WhitespaceSplit(),
            lambda: pre_tokenizers.Punctuation(rng.choice(BEHAVIOURS)), lambda: pre_tokenizers.Digits(rng.random() < .5),
            lambda: pre_tokenizers.UnicodeScripts(), lambda: pre_tokenizers.CharDelimiterSplit(rng.choice(" ,-e")),
            lambda: pre_tokenizers.Split(rng.choice([" ", "th", "e", "--"]), rng.choice(BEHAVIOURS), rng.random() < .3),
            lambda: pre_tokenizers.Split(Regex(rng.choice([GPT4, QWEN, CL100K, O200K, DEEPSEEK3[0], DEEPSEEK3[1], DEEPSEEK3[2], DEEPSEEK[0], DEEPSEEK[1], DEEPSEEK[2], DEEPSEEK[3],
                                                           DEEPSEEK[4], r"\w+|[^\w\s]+", r"\d", r"\s+", r"[aeiou]{2,3}?x?", r"(ab|a)c?", r"[[:alpha:]]+"[:0] or r"[^ ]+"])),
                                         rng.choice(BEHAVIOURS), rng.random() < .3),
            lambda: pre_tokenizers.Metaspace("▁", rng.choice(["always", "first", "never"]), rng.random() < .7),
            lambda: pre_tokenizers.FixedLength(rng.randrange(1, 9)),
        ])()
    k = rng.random()
    if k < .08:
        return None
    if k < .3:
        return pre_tokenizers.ByteLevel(rng.random() < .5, rng.random() < .5, rng.random() < .7)
    if k < .6:
        return one()
    steps = [one() for _ in range(rng.randrange(1, 4))]
    if rng.random() < .4:
        steps.append(pre_tokenizers.ByteLevel(rng.random() < .3, True, rng.random() < .3))
    return pre_tokenizers.Sequence(steps)


def decoder(rng):
    def one():
        return rng.choice([
            lambda: decoders.ByteLevel(), lambda: decoders.WordPiece("##", rng.random() < .5), lambda: decoders.Metaspace("▁", rng.choice(["always", "first", "never"])),
            lambda: decoders.BPEDecoder("</w>"), lambda: decoders.ByteFallback(), lambda: decoders.Fuse(), lambda: decoders.Replace("▁", " "),
            lambda: decoders.Strip(" ", 1, 0), lambda: decoders.CTC("<pad>", "|", rng.random() < .5)])()
    k = rng.random()
    if k < .2:
        return None
    if k < .7:
        return one()
    return decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()] + ([decoders.Strip(" ", 1, 0)] if rng.random() < .5 else []))


def post_processor(rng, specials):
    k = rng.random()
    cls, sep = specials["[CLS]"], specials["[SEP]"]
    if k < .2:
        return None
    if k < .35:
        return processors.BertProcessing(("[SEP]", sep), ("[CLS]", cls))
    if k < .5:
        return processors.RobertaProcessing(("[SEP]", sep), ("[CLS]", cls), rng.random() < .5, rng.random() < .5)
    if k < .6:
        return processors.ByteLevel(trim_offsets=rng.random() < .5)
    template = processors.TemplateProcessing(single=rng.choice(["[CLS] $A [SEP]", "$A [SEP]", "$0 [SEP]:1", "[CLS]:2 $A:1"]),
                                             pair=rng.choice(["[CLS] $A [SEP] $B:1 [SEP]:1", "$B:1 [SEP] $A", "$A $B"]),
                                             special_tokens=[("[CLS]", cls), ("[SEP]", sep)])
    if k < .7:
        return processors.Sequence([processors.ByteLevel(trim_offsets=True), template])
    return template


def model(rng):
    kind = rng.choice(["bpe", "bpe", "bpe", "unigram", "wordpiece", "wordlevel"])
    special = ["[UNK]", "[CLS]", "[SEP]", "<pad>"]
    alphabet = pre_tokenizers.ByteLevel.alphabet() if rng.random() < .5 else []
    if kind == "bpe":
        fallback = rng.random() < .3
        options = dict(continuing_subword_prefix=rng.choice([None, None, None, "##"]), end_of_word_suffix=rng.choice([None, None, None, "</w>"]))
        trainer = trainers.BpeTrainer(vocab_size=rng.randrange(300, 2500), special_tokens=special + ([f"<0x{i:02X}>" for i in range(256)] if fallback else []),
                                      initial_alphabet=alphabet, show_progress=False, **{k: v for k, v in options.items() if v})
        return models.BPE(unk_token=rng.choice([None, "[UNK]"]), fuse_unk=rng.random() < .5, byte_fallback=fallback, ignore_merges=rng.random() < .3,
                          **{k: v for k, v in options.items() if v}), trainer
    if kind == "unigram":
        return models.Unigram(), trainers.UnigramTrainer(vocab_size=rng.randrange(300, 2000), special_tokens=special, unk_token="[UNK]", initial_alphabet=alphabet,
                                                         show_progress=False)
    if kind == "wordpiece":
        return (models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=rng.choice([100, 10, 2000])),
                trainers.WordPieceTrainer(vocab_size=rng.randrange(300, 2500), special_tokens=special, show_progress=False))
    return models.WordLevel(unk_token="[UNK]"), trainers.WordLevelTrainer(vocab_size=3000, special_tokens=special, show_progress=False)


def added_tokens(rng):
    words = ["<mask>", "the", "Shoes", "RED", " ", "東京", rng.choice(["é", "e\u0301"]), "[X]", "running", "<|im_start|>", "  ", "\n", "##s", "a", "'s"]
    return [AddedToken(w, single_word=rng.random() < .3, lstrip=rng.random() < .3, rstrip=rng.random() < .3, normalized=rng.random() < .5,
                       special=rng.random() < .5) for w in rng.sample(words, rng.randrange(0, 5))]


def make(n, seed, lines):
    """n tokenizers: (name, reference, None)"""
    made = tried = 0
    while made < n and tried < 20 * n:
        rng = random.Random(seed * 1000003 + tried)
        tried += 1
        own, trainer = model(rng)
        t = Tokenizer(own)
        try:
            t.normalizer, t.pre_tokenizer = normalizer(rng), pre_tokenizer(rng)
        except TypeError:
            t = Tokenizer(own)
            n_, p_ = normalizer(rng), pre_tokenizer(rng)
            if n_ is not None:
                t.normalizer = n_
            if p_ is not None:
                t.pre_tokenizer = p_
        sample = [x[:120] for x in rng.sample(lines, min(len(lines), 300))]
        try:
            t.train_from_iterator(sample, trainer)
            d = decoder(rng)
            if d is not None:
                t.decoder = d
            extra = added_tokens(rng)
            t.add_tokens(extra)
            p = post_processor(rng, {w: t.token_to_id(w) for w in ("[CLS]", "[SEP]")})
            if p is not None:
                t.post_processor = p
            if rng.random() < .3:
                t.enable_truncation(12, strategy=rng.choice(["longest_first", "only_first", "only_second"]), direction=rng.choice(["left", "right"]))
            t = Tokenizer.from_str(t.to_str())
            t.encode("a probe of the Shoes, é 東京 123")
        except BaseException:  # the reference panics on some
            continue
        made += 1
        yield f"variant {tried - 1}", t, None
