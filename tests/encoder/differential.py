#!/usr/bin/env python3
"""Random small models of every architecture, run by transformers and by the ecrec tool: do the numbers agree?

    differential.py ECREC [--seed N] [--count N] [--family NAME] [--keep]

Needs torch, transformers and numpy (not part of CI: torch is large). Each model gets random sizes (odd widths, heads of any size,
grouped heads), activations, eps, windows, scalings of rotary positions, biases, types of numbers; weights are random and not small.
Compared: the last hidden states of every token, and the pooled or projected vector where the class gives one, as
|a - b| / (1 + |b|) against twice the difference of float32 and float64 in transformers itself, at least 2e-5.
Prints a line a model and the worst of each family; ends with 1 when one differs."""
import argparse, json, os, random, shutil, subprocess, sys, tempfile, warnings

warnings.filterwarnings("ignore")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
import numpy as np
import torch
import transformers as tf

torch.set_num_threads(1)
tf.utils.logging.disable_progress_bar()
ACTIVATIONS = ["gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu", "gelu_fast"]


def sizes(r, heads_options=(1, 2, 3, 4, 6), head_options=(2, 4, 5, 8, 10, 12, 16, 24), even=False):
    heads = r.choice(heads_options)
    size = r.choice([h for h in head_options if h % 2 == 0 or not even])
    return heads, size, heads * size


def common(r, even=False):
    heads, size, hidden = sizes(r, even=even)
    return dict(vocab_size=r.randint(60, 300), hidden_size=hidden, num_attention_heads=heads, num_hidden_layers=r.randint(1, 4),
                intermediate_size=r.randint(5, 130), hidden_act=r.choice(ACTIVATIONS), max_position_embeddings=r.randint(50, 90),
                layer_norm_eps=r.choice([1e-12, 1e-5, 1e-6, 1e-3]))


def bert(r):
    return tf.BertModel, tf.BertConfig(**common(r), type_vocab_size=r.choice([1, 2, 3]), pad_token_id=0)


def roberta(r):
    kind = r.choice([(tf.RobertaModel, tf.RobertaConfig), (tf.XLMRobertaModel, tf.XLMRobertaConfig), (tf.CamembertModel, tf.CamembertConfig)])
    return kind[0], kind[1](**common(r), type_vocab_size=r.choice([1, 2]), pad_token_id=r.choice([0, 1, 3]))


def electra(r):
    c = common(r)
    return tf.ElectraModel, tf.ElectraConfig(**c, embedding_size=r.choice([c["hidden_size"], 7, 24]), pad_token_id=0)


def distilbert(r):
    c = common(r)
    return tf.DistilBertModel, tf.DistilBertConfig(vocab_size=c["vocab_size"], dim=c["hidden_size"], n_heads=c["num_attention_heads"],
        n_layers=c["num_hidden_layers"], hidden_dim=c["intermediate_size"], activation=r.choice(["gelu", "relu"]),
        max_position_embeddings=c["max_position_embeddings"], sinusoidal_pos_embds=r.random() < .3 and c["hidden_size"] % 2 == 0)


def mpnet(r):
    return tf.MPNetModel, tf.MPNetConfig(**common(r), relative_attention_num_buckets=r.choice([32, 32, 48]), pad_token_id=r.choice([0, 1]))


def albert(r):
    c = common(r)
    c["num_hidden_layers"] = r.choice([1, 2, 3, 5, 6])
    return tf.AlbertModel, tf.AlbertConfig(**c, embedding_size=r.choice([6, 16, 33, c["hidden_size"]]),
        num_hidden_groups=r.choice([1, 1, min(2, c["num_hidden_layers"])]), inner_group_num=1, type_vocab_size=r.choice([1, 2]))


def modernbert(r):
    c = common(r, even=True)
    eps = c.pop("layer_norm_eps")
    return tf.ModernBertModel, tf.ModernBertConfig(**{k: v for k, v in c.items() if k != "hidden_act"}, hidden_activation=c["hidden_act"], norm_eps=eps,
        norm_bias=r.random() < .4, attention_bias=r.random() < .4, mlp_bias=r.random() < .4, local_attention=r.choice([2, 4, 7, 16]),
        global_attn_every_n_layers=r.choice([1, 2, 3]), pad_token_id=0, bos_token_id=1, eos_token_id=2, cls_token_id=1, sep_token_id=2)


def nomic(r):
    c = common(r, even=True)
    c["hidden_act"] = "silu"
    return tf.NomicBertModel, tf.NomicBertConfig(**c, type_vocab_size=r.choice([1, 2]), pad_token_id=0,
        rope_parameters=dict(rope_type="default", rope_theta=r.choice([1000.0, 10000.0])))


def gpt2(r):
    c = common(r)
    return tf.GPT2Model, tf.GPT2Config(vocab_size=c["vocab_size"], n_embd=c["hidden_size"], n_head=c["num_attention_heads"], n_layer=c["num_hidden_layers"],
        n_inner=r.choice([None, c["intermediate_size"]]), n_positions=c["max_position_embeddings"], activation_function=c["hidden_act"],
        layer_norm_epsilon=c["layer_norm_eps"], scale_attn_weights=r.random() < .8, bos_token_id=0, eos_token_id=0)


def rope(r):
    kind = r.choice(["default", "default", "linear", "llama3", "yarn"])
    p = dict(rope_type=kind, rope_theta=r.choice([10000.0, 500000.0, 1e6]))
    if kind != "default":
        p["factor"] = r.choice([2.0, 4.0, 8.0])
    if kind == "llama3":
        p.update(low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=r.choice([32, 64]))
    if kind == "yarn":
        p.update(original_max_position_embeddings=r.choice([16, 32]))
    return p


def decoder(r):
    c = common(r, even=True)
    heads = c["num_attention_heads"]
    eps = c.pop("layer_norm_eps")
    c["hidden_act"] = r.choice(["silu", "gelu", "gelu_pytorch_tanh", "relu"])
    more = dict(num_key_value_heads=r.choice([g for g in range(1, heads + 1) if heads % g == 0]), rms_norm_eps=eps, rope_parameters=rope(r),
                pad_token_id=0, bos_token_id=1, eos_token_id=2)
    kind = r.choice(["llama", "mistral", "qwen2", "qwen3"])
    size = r.choice([c["hidden_size"] // heads, 6, 20])
    if kind == "llama":
        return tf.LlamaModel, tf.LlamaConfig(**c, **more, head_dim=size, attention_bias=r.random() < .3, mlp_bias=r.random() < .3)
    if kind == "mistral":
        return tf.MistralModel, tf.MistralConfig(**c, **more, head_dim=size, sliding_window=r.choice([None, 2, 5, 16]))
    sliding = dict(use_sliding_window=True, sliding_window=r.choice([3, 9]), max_window_layers=r.choice([0, 1, 2])) if r.random() < .5 else {}
    if kind == "qwen2":
        return tf.Qwen2Model, tf.Qwen2Config(**c, **more, **sliding)
    return tf.Qwen3Model, tf.Qwen3Config(**c, **more, **sliding, head_dim=size, attention_bias=r.random() < .3)


def t5(r):
    c = common(r)
    model, config = r.choice([(tf.T5EncoderModel, tf.T5Config), (tf.MT5EncoderModel, tf.MT5Config)])
    return model, config(vocab_size=c["vocab_size"], d_model=r.randint(8, 70), d_kv=r.choice([4, 7, 16]), d_ff=c["intermediate_size"],
        num_layers=c["num_hidden_layers"], num_heads=c["num_attention_heads"], relative_attention_num_buckets=r.choice([8, 16, 32]),
        relative_attention_max_distance=r.choice([20, 64, 128]), layer_norm_epsilon=c["layer_norm_eps"],
        feed_forward_proj=r.choice(["relu", "gated-gelu", "gated-silu", "gelu"]))


def clip_text(r):
    c = common(r)
    end = r.choice([2, c["vocab_size"] - 1, 5])
    return r.choice([tf.CLIPTextModelWithProjection, tf.CLIPTextModel]), tf.CLIPTextConfig(**c, projection_dim=r.randint(5, 50), eos_token_id=end, bos_token_id=0, pad_token_id=1)


def clip_vision(r):
    c = common(r)
    for k in ("vocab_size", "max_position_embeddings"):
        c.pop(k)
    patch = r.choice([3, 4, 8])
    return r.choice([tf.CLIPVisionModelWithProjection, tf.CLIPVisionModel]), tf.CLIPVisionConfig(**c, projection_dim=r.randint(5, 50), patch_size=patch,
        image_size=patch * r.randint(1, 5) + r.choice([0, 1]), num_channels=r.choice([1, 3, 4]))


def clip(r):
    text, image = clip_text(r)[1], clip_vision(r)[1]
    return tf.CLIPModel, tf.CLIPConfig(text_config=text.to_dict(), vision_config=image.to_dict(), projection_dim=r.randint(5, 50))


HEADS = dict(bert="Bert", roberta="Roberta", electra="Electra", distilbert="DistilBert", mpnet="MPNet", albert="Albert", modernbert="ModernBert", gpt2="GPT2",
             decoder="")


def classifier(r):
    kind = r.choice(list(HEADS))
    config = FAMILIES[kind](random.Random(r.random()))[1]
    name = {"xlm-roberta": "XLMRoberta", "camembert": "Camembert", "llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2",
            "qwen3": "Qwen3"}.get(config.model_type, HEADS[kind])
    config.num_labels = r.choice([1, 2, 5])
    if kind == "modernbert":
        config.classifier_pooling = r.choice(["cls", "mean"])
        config.classifier_bias = r.random() < .5
        config.classifier_activation = r.choice(["gelu", "silu"])
    if kind in ("gpt2", "decoder"):
        config.pad_token_id = config.vocab_size - 1
    return getattr(tf, name + "ForSequenceClassification"), config


def vit(r):
    c = common(r)
    for k in ("vocab_size", "max_position_embeddings"):
        c.pop(k)
    patch = r.choice([3, 4, 8])
    size = patch * r.randint(1, 4)
    return tf.ViTModel, tf.ViTConfig(**c, patch_size=patch, image_size=r.choice([size, [size, 2 * size]]), num_channels=r.choice([1, 3]), qkv_bias=r.random() < .7)


FAMILIES = dict(bert=bert, roberta=roberta, electra=electra, distilbert=distilbert, mpnet=mpnet, albert=albert, modernbert=modernbert, nomic=nomic, gpt2=gpt2,
                decoder=decoder, t5=t5, clip_text=clip_text, clip_vision=clip_vision, clip=clip, vit=vit, classifier=classifier)


def randomise(model, r):
    g = torch.Generator().manual_seed(r.randrange(1 << 30))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if "sin" in name:
                continue
            p.copy_(torch.randn(p.shape, generator=g) * (0.3 if p.dim() > 1 else 0.2) / (max(1, p.shape[-1]) ** 0.5 / 3 if p.dim() > 1 else 1)
                    + (1.0 if p.dim() == 1 and ("norm" in name.lower() or "ln_" in name or "layrnorm" in name) and name.endswith("weight") else 0.0))


def run(tool, *a):
    p = subprocess.run([tool, *map(str, a)], capture_output=True, text=True)
    if p.returncode:
        raise RuntimeError(f"ecrec {' '.join(map(str, a))}: {p.stderr.strip()}")


def difference(a, b):
    return float(np.max(np.abs(a.astype(np.float64) - b) / (1 + np.abs(b)))) if a.size else 0.0


def one(tool, family, r, folder):
    cls, config = FAMILIES[family](r)
    config._attn_implementation = "eager"
    model = cls(config).eval()
    randomise(model, r)
    dtype = r.choice([torch.float32, torch.float32, torch.float16, torch.bfloat16])
    model.to(dtype).save_pretrained(folder, max_shard_size=r.choice(["5GB", "20KB"]))
    model = cls.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    towers = family == "clip"
    images = family in ("clip_vision", "vit") or (towers and r.random() < .5)
    if towers:
        config = config.vision_config if images else config.text_config
    n = r.randint(1, 4)
    if images:
        size = config.image_size if isinstance(config.image_size, (list, tuple)) else [config.image_size] * 2
        x = torch.randn(n, config.num_channels, *size, generator=torch.Generator().manual_seed(r.randrange(1 << 30)))
        inputs = [dict(pixel_values=x[i:i + 1]) for i in range(n)]
        np.save(folder + "/x.npy", x.numpy())
        given = ["--pixels", folder + "/x.npy"]
    else:
        longest = min(48, getattr(config, "max_position_embeddings", 48) or 48, getattr(config, "n_positions", 48) or 48)
        types = getattr(config, "type_vocab_size", 0) if family in ("bert", "nomic", "albert", "electra", "roberta") else 0
        inputs, lines = [], []
        for _ in range(n):
            ids = [r.randrange(config.vocab_size - (family == "classifier")) for _ in range(r.randint(1, longest - 4))]
            if family in ("clip_text", "clip"):
                ids = [i for i in ids if i != config.eos_token_id] + [config.eos_token_id if config.eos_token_id != 2 else config.vocab_size - 1]
            row = dict(input_ids=torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long))
            line = dict(input_ids=ids)
            if types:
                line["token_type_ids"] = [r.randrange(types) for _ in ids]
                row["token_type_ids"] = torch.tensor([line["token_type_ids"]])
            inputs.append(row)
            lines.append(line)
        with open(folder + "/ids.jsonl", "w") as f:
            f.writelines(json.dumps(line) + "\n" for line in lines)
        given = ["--ids", folder + "/ids.jsonl"]

    def outputs(m, kind):
        states, pooled = [], []
        with torch.no_grad():
            for row in inputs:
                row = {k: v.to(kind) if v.is_floating_point() else v for k, v in row.items()}
                if family == "classifier":
                    states.append(m(**row).logits.double().numpy())
                    pooled.append(None)
                    continue
                if towers:
                    part, project = (m.vision_model, m.visual_projection) if images else (m.text_model, m.text_projection)
                    o = part(**row)
                    o["image_embeds"] = project(o.pooler_output)
                else:
                    o = m(**row)
                states.append(o.last_hidden_state[0].double().numpy())
                p = next((o[k] for k in ("text_embeds", "image_embeds", "pooler_output") if k in o and o[k] is not None), None)
                pooled.append(p[0].double().numpy() if p is not None else None)
        return np.concatenate(states), np.stack(pooled) if pooled[0] is not None else None

    states, pooled = outputs(model, torch.float32)
    exact, exact_pooled = outputs(model.double(), torch.float64)
    bound = max(2e-5, 2 * difference(states, exact))
    run(tool, "import", folder, "-o", folder + "/m.ecrec", *(["--tower", "image"] if towers and images else []))
    if family == "classifier":
        run(tool, "score", folder + "/m.ecrec", *given, "--logits", "--format", "jsonl", "-o", folder + "/o.jsonl")
        own = np.array([list(json.loads(line).values()) for line in open(folder + "/o.jsonl")])
    else:
        run(tool, "encode", folder + "/m.ecrec", *given, "--per-token", "--format", "npy", "-o", folder + "/o.npy")
        own = np.load(folder + "/o.npy")
    if own.shape != states.shape:
        raise RuntimeError(f"shape {own.shape} instead of {states.shape}")
    worst = difference(own, states)
    if pooled is not None:
        pooling = "default" if family.startswith("clip") else "pooler"
        run(tool, "encode", folder + "/m.ecrec", *given, "--pooling", pooling, "--no-normalize", "--format", "npy", "-o", folder + "/o.npy")
        worst = max(worst, difference(np.load(folder + "/o.npy"), pooled))
        bound = max(bound, 2 * difference(pooled, exact_pooled))
    return cls.__name__, str(dtype)[6:], worst, bound


def main():
    p = argparse.ArgumentParser()
    p.add_argument("tool")
    p.add_argument("--seed", type=int, default=1)
    p.add_argument("--count", type=int, default=10)
    p.add_argument("--family")
    p.add_argument("--keep", action="store_true")
    a = p.parse_args()
    failed = 0
    for family in [a.family] if a.family else FAMILIES:
        most, near = 0.0, 0.0
        for i in range(a.seed, a.seed + a.count):
            r = random.Random(f"{family} {i}")
            torch.manual_seed(i)
            folder = tempfile.mkdtemp(prefix=f"ecrec-{family}-{i}-")
            try:
                name, dtype, worst, bound = one(a.tool, family, r, folder)
                bad = not worst <= bound
                if bad:
                    print(f"{family} {i}: {name} {dtype}: {worst:.2e}, at most {bound:.2e}")
                most, near = max(most, worst), max(near, worst / bound)
            except (RuntimeError, ValueError) as e:
                bad = True
                print(f"{family} {i}: {e}")
            failed += bad
            if not a.keep and not bad:
                shutil.rmtree(folder)
        print(f"{family}: {a.count} models, largest difference {most:.1e}, {near:.2f} of what is allowed")
    sys.exit(1 if failed else 0)


main()
