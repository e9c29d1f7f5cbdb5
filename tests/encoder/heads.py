"""The tool on heads and sequences: `ecrec score` of a cross-encoder and a classifier, `ecrec eval` of a sequence encoder.

    heads.py ECREC classifier|families|sequences
    ECREC_DATA: reference/tiny/*cross-encoder (the reference's logits), behaviour/beauty (published result). Exit 77: not there.
"""
import json
import math
import os
import subprocess
import sys
import tempfile

tool, what = sys.argv[1:3]
try:
    import numpy
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)
data = os.environ.get("ECREC_DATA", "")


def need(*names):
    path = os.path.join(data, *names)
    if not os.path.exists(path):
        print(f"skipped: {path} is not there")
        sys.exit(77)
    return path


def run(*arguments, text=None, code=0):
    r = subprocess.run([tool, *arguments], input=text, capture_output=True, encoding="utf-8")
    assert r.returncode == code, (arguments, r.returncode, r.stderr)
    return r.stdout if code == 0 else r.stderr


def classifier(folder):
    worst = 0.0
    for name in ("bert-cross-encoder", "xlm-roberta-cross-encoder"):
        path = need("reference", "tiny", name)
        with open(os.path.join(path, "io.json"), encoding="utf-8") as f:
            io = json.load(f)
        model, ids = os.path.join(folder, name + ".ecrec"), os.path.join(folder, "ids.jsonl")
        run("import", path, "-o", model)
        with open(ids, "w", encoding="utf-8") as f:
            for case in io["cases"]:
                f.write(json.dumps({k: case[k] for k in ("input_ids", "token_type_ids") if k in case}) + "\n")
        wanted = [case["logits"]["data"][0] for case in io["cases"]]
        tolerance = max(2e-5, 2 * io["float32_vs_float64"])
        logits = run("score", model, "--ids", ids, "--logits").splitlines()
        assert logits[0] == "LABEL_0" and len(logits) == len(wanted) + 1, logits
        for got, want in zip(map(float, logits[1:]), wanted):
            worst = max(worst, abs(got - want) / (1 + abs(want)))
            assert abs(got - want) / (1 + abs(want)) <= tolerance, (name, got, want)
        rows = [json.loads(line)["LABEL_0"] for line in run("score", model, "--ids", ids, "--format", "jsonl").splitlines()]
        for got, want in zip(rows, wanted):  # one label: the sigmoid
            assert abs(got - 1 / (1 + math.exp(-want))) <= tolerance, (name, got, want)
        assert "no tokenizer" in run("score", model, text="a\tb\n", code=1)
        assert "no tokenizer" in run("bench", model, code=1)
    print(f"two cross-encoders, worst difference {worst:.2g}")


# What stands on the last hidden states of each architecture, in the words of its published code: the class, what the file puts
# before the encoder's names, the head's tensors (name, rows, columns; "c": classes, "h": hidden, no columns: a vector), its function.
def gelu(x):
    return x * .5 * (1 + numpy.vectorize(math.erf)(x / math.sqrt(2)))


def dense(act, first="classifier.dense", last="classifier.out_proj"):
    tensors = [(first + ".weight", "h", "h"), (first + ".bias", "h", ""), (last + ".weight", "c", "h"), (last + ".bias", "c", "")]
    return tensors, lambda w, s: w[last + ".weight"] @ act(w[first + ".weight"] @ s[0] + w[first + ".bias"]) + w[last + ".bias"]


def modern(w, s):
    x = gelu(w["head.dense.weight"] @ s[0])
    x = (x - x.mean()) / numpy.sqrt(x.var() + 1e-5) * w["head.norm.weight"]
    return w["classifier.weight"] @ x + w["classifier.bias"]


def heads():
    tanh, relu = numpy.tanh, lambda x: numpy.maximum(x, 0)
    score = [("score.weight", "c", "h")], lambda w, s: w["score.weight"] @ s[-1]
    yield "roberta", "RobertaForSequenceClassification", "roberta.", dense(tanh)
    yield "xlm-roberta", "XLMRobertaForSequenceClassification", "roberta.", dense(tanh)
    yield "electra", "ElectraForSequenceClassification", "electra.", dense(gelu)
    yield "mpnet", "MPNetForSequenceClassification", "mpnet.", dense(tanh)
    yield "distilbert", "DistilBertForSequenceClassification", "distilbert.", dense(relu, "pre_classifier", "classifier")
    yield "albert", "AlbertForSequenceClassification", "albert.", ([("classifier.weight", "c", "h"), ("classifier.bias", "c", "")],
                                                                 lambda w, s: w["classifier.weight"] @ tanh(w["pooler.weight"] @ s[0] + w["pooler.bias"]) + w["classifier.bias"])
    yield "modernbert", "ModernBertForSequenceClassification", "model.", (
        [("head.dense.weight", "h", "h"), ("head.norm.weight", "h", ""), ("classifier.weight", "c", "h"), ("classifier.bias", "c", "")], modern)
    yield "gpt2", "GPT2ForSequenceClassification", "transformer.", score
    for name, kind in (("llama", "Llama"), ("mistral", "Mistral"), ("qwen2", "Qwen2"), ("qwen3", "Qwen3")):
        yield name, kind + "ForSequenceClassification", "model.", score
    yield "vit", "ViTForImageClassification", "vit.", ([("classifier.weight", "c", "h"), ("classifier.bias", "c", "")],
                                                      lambda w, s: w["classifier.weight"] @ s[0] + w["classifier.bias"])


def read_safetensors(path):
    with open(path, "rb") as f:
        header = json.loads(f.read(int.from_bytes(f.read(8), "little")))
        body = f.read()
    header.pop("__metadata__", None)
    assert all(t["dtype"] == "F32" for t in header.values())
    return {k: numpy.frombuffer(body[t["data_offsets"][0]:t["data_offsets"][1]], "<f4").reshape(t["shape"]) for k, t in header.items()}


def write_safetensors(path, tensors):
    header, at = {}, 0
    for k, t in tensors.items():
        header[k] = {"dtype": "F32", "shape": list(t.shape), "data_offsets": [at, at + 4 * t.size]}
        at += 4 * t.size
    text = json.dumps(header).encode()
    with open(path, "wb") as f:
        f.write(len(text).to_bytes(8, "little") + text)
        for t in tensors.values():
            f.write(t.astype("<f4").tobytes())


def families(folder):
    """Every family's head over the reference's own hidden states."""
    random, classes = numpy.random.default_rng(1), 3
    for name, kind, prefix, (tensors, function) in heads():
        path, own = need("reference", "tiny", name), os.path.join(folder, name)
        with open(os.path.join(path, "io.json"), encoding="utf-8") as f:
            io = json.load(f)
        with open(os.path.join(path, "config.json"), encoding="utf-8") as f:
            config = json.load(f)
        hidden = io["cases"][0]["last_hidden_state"]["shape"][-1]
        plain = read_safetensors(os.path.join(path, "model.safetensors"))
        new = {n: (random.normal(0, .3, [{"c": classes, "h": hidden}[x] for x in (a, b) if x]) + n.endswith("norm.weight")).astype(numpy.float32) for n, a, b in tensors}
        config.update(architectures=[kind], id2label={"0": "no", "1": "maybe", "2": "yes"})
        os.mkdir(own)
        with open(os.path.join(own, "config.json"), "w", encoding="utf-8") as f:
            json.dump(config, f)
        keep = {k: v for k, v in plain.items() if not k.startswith("pooler") or name == "albert"}
        write_safetensors(os.path.join(own, "model.safetensors"), {**{prefix + k: v for k, v in keep.items()}, **new})
        run("import", own, "-o", own + ".ecrec")
        rows, images = os.path.join(folder, "rows.jsonl"), os.path.join(folder, "rows.npy")
        if name == "vit":
            numpy.save(images, numpy.stack([numpy.array(c["pixel_values"]["data"], numpy.float32).reshape(c["pixel_values"]["shape"][-3:]) for c in io["cases"]]))
            source = ["--pixels", images]
        else:
            with open(rows, "w", encoding="utf-8") as f:
                for case in io["cases"]:
                    f.write(json.dumps({k: case[k] for k in ("input_ids", "token_type_ids") if k in case}) + "\n")
            source = ["--ids", rows]
        got = [json.loads(line) for line in run("score", own + ".ecrec", *source, "--logits", "--format", "jsonl").splitlines()]
        soft = [json.loads(line) for line in run("score", own + ".ecrec", *source, "--format", "jsonl").splitlines()]
        worst = 0.0
        for g, p, case in zip(got, soft, io["cases"]):
            states = numpy.array(case["last_hidden_state"]["data"]).reshape(-1, hidden)
            want = function({k: v.astype(float) for k, v in {**plain, **new}.items()}, states)
            g = numpy.array([g[k] for k in ("no", "maybe", "yes")])
            worst = max(worst, float((abs(g - want) / (1 + abs(want))).max()))
            e = numpy.exp(want - want.max())
            assert abs(numpy.array([p[k] for k in ("no", "maybe", "yes")]) - e / e.sum()).max() < 2e-5
        told = json.loads(run("info", own + ".ecrec", "--json"))["classifier"]
        assert told == {"activation": "softmax", "labels": ["no", "maybe", "yes"]}, told
        assert len(got) == len(io["cases"]) and worst <= max(2e-5, 4 * io["float32_vs_float64"]), (name, worst)
        print(f"{name}: worst difference {worst:.2g}")


def sequences(folder):
    path = need("behaviour", "beauty")
    model, few = os.path.join(folder, "beauty.ecrec"), os.path.join(folder, "few.txt")
    run("import", path, "-o", model)
    histories = os.path.join(path, "sequences.txt")
    table = run("eval", model, "-i", histories, "--threads", "1")
    published = {"users": "22363", "HR@5": "0.0500", "NDCG@5": "0.0326", "HR@10": "0.0744", "NDCG@10": "0.0403", "HR@20": "0.1058", "NDCG@20": "0.0483"}
    got = dict(line.split() for line in table.splitlines()[1:])
    assert {k: got[k] for k in published} == published, got
    # the same numbers as JSON, on two threads, for the first users
    with open(histories, encoding="utf-8") as f, open(few, "w", encoding="utf-8") as out:
        out.writelines(line for line, _ in zip(f, range(500)))
    one, two = (json.loads(run("eval", model, "-i", few, "--json", "--threads", n)) for n in "12")
    assert one == two and one["users"] == 500, (one, two)
    assert "below 12103" in run("eval", model, text="1 5 99999\n", code=1)
    assert "at least two items" in run("eval", model, text="1 5\n", code=1)
    print(table, end="")


with tempfile.TemporaryDirectory() as folder:
    {"classifier": classifier, "families": families, "sequences": sequences}[what](folder)
