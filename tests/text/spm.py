"""SentencePiece models that are trained here, read from their .model file, against the sentencepiece package itself: equal ids.

    python tests/text/spm.py LIBRARY PYTHON_MODULE [--strings N] [--seed S] [--only NAME] [--lines N] [--sample]

N texts (default 20000) for each model, real and random ones. With transformers there, too: folders of nothing but a .model file, a
config.json that says xlm-roberta, camembert, t5 or llama, and weights, against the fast tokenizer that transformers makes of them (their
ids are shifted, their special tokens elsewhere). The last line is "N models, N texts, N differing". Exit: 0, 77 nothing to compare with, 1."""
import argparse
import io
import json
import os
import random
import sys
import tempfile

here = os.path.dirname(os.path.abspath(__file__))
sys.path = [p for p in sys.path if os.path.abspath(p or ".") != here]  # this file's name is the package's
try:
    import sentencepiece
except ImportError:
    print("skipped: the Python package sentencepiece is not there")
    sys.exit(77)
sys.path.insert(0, here)
import differential
import random_texts

SYMBOLS = ["<sep>", "東京", "C++", "the", "aa", "ab", "a b", "é", "e\u0301", "##"]
MODELS = {
    "unigram": dict(model_type="unigram"),
    "bpe": dict(model_type="bpe"),
    "unigram, bytes": dict(model_type="unigram", byte_fallback=True),
    "bpe, bytes": dict(model_type="bpe", byte_fallback=True),
    "unigram, no prefix": dict(model_type="unigram", add_dummy_prefix=False),
    "bpe, no prefix": dict(model_type="bpe", add_dummy_prefix=False),
    "unigram, as it is": dict(model_type="unigram", normalization_rule_name="identity"),
    "bpe, as it is": dict(model_type="bpe", normalization_rule_name="identity", remove_extra_whitespaces=False),
    "unigram, blanks": dict(model_type="unigram", remove_extra_whitespaces=False, allow_whitespace_only_pieces=True),
    "unigram, folded": dict(model_type="unigram", normalization_rule_name="nmt_nfkc_cf"),
    "bpe, nfkc": dict(model_type="bpe", normalization_rule_name="nfkc", split_digits=True),
    "unigram, digits": dict(model_type="unigram", split_digits=True, split_by_number=False, split_by_unicode_script=False),
    "unigram, symbols": dict(model_type="unigram", user_defined_symbols=SYMBOLS, control_symbols=["<ctrl>", "<mask>"]),
    "bpe, symbols": dict(model_type="bpe", user_defined_symbols=SYMBOLS, control_symbols=["<ctrl>", "<mask>"]),
    "unigram, symbols and bytes": dict(model_type="unigram", user_defined_symbols=SYMBOLS, byte_fallback=True),
    "unigram, across blanks": dict(model_type="unigram", split_by_whitespace=False),
    "bpe, across blanks": dict(model_type="bpe", split_by_whitespace=False, max_sentencepiece_length=12),
    "unigram, suffix": dict(model_type="unigram", treat_whitespace_as_suffix=True),
    "bpe, suffix": dict(model_type="bpe", treat_whitespace_as_suffix=True),
    "llama": dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True,
                  allow_whitespace_only_pieces=True, character_coverage=0.99),
    "gemma": dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True, add_dummy_prefix=False,
                  allow_whitespace_only_pieces=True, user_defined_symbols=["<start_of_turn>", "\n\n", "\n", "▁▁", "▁▁▁▁", "<b>"], pad_id=0, eos_id=1, bos_id=2, unk_id=3),
    "t5": dict(model_type="unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1),
    "xlm-roberta": dict(model_type="unigram", vocab_size=2500, character_coverage=0.99),
    "camembert": dict(model_type="unigram", user_defined_symbols=[], control_symbols=[], unk_id=0, bos_id=1, eos_id=2, vocab_size=1500),
}


def train(lines, options):
    options = dict(options)
    out = io.BytesIO()
    options.setdefault("vocab_size", 1800)
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=out, minloglevel=2, num_threads=1, hard_vocab_limit=False,
                                             **{"character_coverage": 0.98, **options})
    return out.getvalue()


def texts_of(rng, real, n, symbols):
    class Added:
        def __init__(self, content):
            self.content = content
    out = [t if isinstance(t, str) else t.decode("utf-8", "replace") for t in random_texts.mix(rng, real, n, [Added(s) for s in symbols])]
    for i in range(0, len(out), 10):
        out[i] = "".join(rng.choice([" ", "  ", "\t", "\n", "▁", "▁▁", "a", "aaaa", "abab", "e\u0301", "é", "ﬁ", "ｶﾞ", "㍿", "\u200b", "\u3000", "x", "東京", "<sep>", "\u0000", "1", "42",
                                     "\u00ad", "\ufeff", "½", "C++", "the", out[i][:7]]) for _ in range(rng.randrange(14)))
    return [t.replace("\x00", "") for t in out]


def compare(name, sp, ours, texts, show):
    wrong = 0
    for text, want in zip(texts, sp.encode(texts)):
        ids, _, _ = ours.encode(text.encode(), special=False)
        if ids != want:
            wrong += 1
            if wrong <= show:
                at = next((i for i, (a, b) in enumerate(zip(want, ids)) if a != b), min(len(want), len(ids)))
                print(f"{name}: {text[:80]!r} token {at} of {len(want)}\n  reference {[sp.id_to_piece(i) for i in want[max(0, at - 3):at + 5]]}\n"
                      f"  here      {[sp.id_to_piece(i) for i in ids[max(0, at - 3):at + 5] if i < sp.get_piece_size()]}", flush=True)
    return wrong


def weights(kind, size):
    """A configuration and tensors, all of them 0, of one layer and 4 numbers: enough to import."""
    h, tensors = 4, {}
    if kind in ("xlm-roberta", "camembert"):
        config = dict(model_type=kind, vocab_size=size, hidden_size=h, num_attention_heads=1, num_hidden_layers=1, intermediate_size=h, max_position_embeddings=16,
                      type_vocab_size=1, pad_token_id=1)
        tensors = {"embeddings.word_embeddings.weight": (size, h), "embeddings.position_embeddings.weight": (16, h), "embeddings.token_type_embeddings.weight": (1, h),
                   "embeddings.LayerNorm.weight": (h,), "embeddings.LayerNorm.bias": (h,)}
        for part in ("attention.self.query", "attention.self.key", "attention.self.value", "attention.output.dense", "intermediate.dense", "output.dense"):
            tensors |= {f"encoder.layer.0.{part}.weight": (h, h), f"encoder.layer.0.{part}.bias": (h,)}
        for part in ("attention.output.LayerNorm", "output.LayerNorm"):
            tensors |= {f"encoder.layer.0.{part}.weight": (h,), f"encoder.layer.0.{part}.bias": (h,)}
    elif kind == "t5":
        config = dict(model_type="t5", vocab_size=size, d_model=h, d_kv=h, d_ff=h, num_layers=1, num_heads=1, relative_attention_num_buckets=8)
        tensors = {"shared.weight": (size, h), "encoder.final_layer_norm.weight": (h,), "encoder.block.0.layer.0.layer_norm.weight": (h,),
                   "encoder.block.0.layer.1.layer_norm.weight": (h,), "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (8, 1),
                   "encoder.block.0.layer.1.DenseReluDense.wi.weight": (h, h), "encoder.block.0.layer.1.DenseReluDense.wo.weight": (h, h)}
        tensors |= {f"encoder.block.0.layer.0.SelfAttention.{x}.weight": (h, h) for x in "qkvo"}
    else:
        config = dict(model_type="llama", vocab_size=size, hidden_size=h, num_attention_heads=1, num_hidden_layers=1, intermediate_size=h, rms_norm_eps=1e-6,
                      max_position_embeddings=16)
        tensors = {"embed_tokens.weight": (size, h), "norm.weight": (h,), "layers.0.input_layernorm.weight": (h,), "layers.0.post_attention_layernorm.weight": (h,)}
        tensors |= {f"layers.0.{x}.weight": (h, h) for x in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj", "self_attn.o_proj", "mlp.gate_proj", "mlp.up_proj",
                                                             "mlp.down_proj")}
    return config, tensors


def save(folder, config, tensors):
    header, at = {}, 0
    for name, shape in tensors.items():
        n = 4
        for x in shape:
            n *= x
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [at, at + n]}
        at += n
    text = json.dumps(header).encode()
    with open(os.path.join(folder, "model.safetensors"), "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text + bytes(at))
    with open(os.path.join(folder, "config.json"), "w", encoding="utf-8") as f:
        json.dump(config, f)


FAMILIES = {"xlm-roberta": ("sentencepiece.bpe.model", "XLMRobertaTokenizerFast", dict(model_type="unigram", vocab_size=2500)),
            "camembert": ("sentencepiece.bpe.model", "CamembertTokenizerFast", dict(model_type="unigram", vocab_size=1500)),
            "t5": ("spiece.model", "T5TokenizerFast", dict(model_type="unigram", pad_id=0, eos_id=1, unk_id=2, bos_id=-1)),
            "llama": ("tokenizer.model", "LlamaTokenizerFast", MODELS["llama"])}


def families(ecrec, context, lines, texts, show, only):
    """(models, texts, differing)"""
    try:
        import transformers
        transformers.logging.set_verbosity_error()
    except ImportError:
        return 0, 0, 0
    count = total = wrong = 0
    for kind, (file, kind_of, options) in FAMILIES.items():
        if only and only != "folder of " + kind:
            continue
        with tempfile.TemporaryDirectory() as own:
            model = train(lines, options)
            with open(os.path.join(own, file), "wb") as f:
                f.write(model)
            if kind == "llama":  # published ones are the package's own; what transformers makes of the file alone drops a blank at the beginning
                ref = sentencepiece.SentencePieceProcessor(model_proto=model)
                wanted, size, piece = ref.encode(texts, add_bos=True), ref.get_piece_size(), ref.id_to_piece
            else:
                ref = getattr(transformers, kind_of).from_pretrained(own)
                wanted, size, piece = [e.ids for e in ref._tokenizer.encode_batch(texts)], len(ref), ref._tokenizer.id_to_token
            save(own, *weights(kind, size))
            ours = differential.Ours(ecrec, context, own)
        bad = 0
        for text, want in zip(texts, wanted):
            if kind == "llama" and any(x in text for x in ("<s>", "</s>", "<unk>")):
                continue  # special tokens there, plain text to the package
            ids = ours.encode(text.encode())[0]
            if ids != want:
                bad += 1
                if bad <= show:
                    print(f"folder of {kind}: {text[:80]!r}\n  reference {[piece(i) for i in want[:60]]}\n  here      {[piece(i) for i in ids[:60]]}", flush=True)
        print(f"folder of {kind}: {bad} differ") if bad else None
        count, total, wrong = count + 1, total + len(texts), wrong + bad
    return count, total, wrong


def main():
    p = argparse.ArgumentParser()
    p.add_argument("library")
    p.add_argument("module")
    p.add_argument("--strings", type=int, default=20000)
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--only")
    p.add_argument("--show", type=int, default=3)
    p.add_argument("--lines", type=int, default=3000)
    p.add_argument("--sample", action="store_true", help="every other model")
    a = p.parse_args()
    os.environ["ECREC_LIBRARY"] = a.library
    sys.path.insert(0, a.module)
    import ecrec
    rng = random.Random(a.seed)
    real = random_texts.real(os.environ.get("ECREC_DATA", "../shared/data"))
    context = ecrec.Context(threads=1)
    lines = [x[:300] for x in rng.sample(real, min(len(real), a.lines))]
    count = total = wrong = 0
    texts = texts_of(rng, real, a.strings, SYMBOLS)
    for at, (name, options) in enumerate(MODELS.items()):
        if (a.only and a.only != name) or (a.sample and at % 2):
            continue
        model = train(lines, options)
        sp = sentencepiece.SentencePieceProcessor(model_proto=model)
        with tempfile.TemporaryDirectory() as own:
            with open(os.path.join(own, "tokenizer.model"), "wb") as f:
                f.write(model)
            try:
                ours = differential.Ours(ecrec, context, own)
            except ecrec.Error as e:
                print(f"{name}: refused: {e}")
                wrong += 1
                continue
        bad = compare(name, sp, ours, texts, a.show)
        if bad:
            print(f"{name}: {bad} differ")
        count, total, wrong = count + 1, total + len(texts), wrong + bad
    count, total, wrong = (a + b for a, b in zip((count, total, wrong), families(ecrec, context, lines, texts, a.show, a.only)))
    print(f"{count} models, {total} texts, {wrong} differing")
    sys.exit(1 if wrong or not count else 0)


main()
