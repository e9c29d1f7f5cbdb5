"""A BERT folder as ONNX models for ONNX Runtime: the peer of the encode bench at its best.

    onnx_bert.py FOLDER OUT_DIR      writes f32.onnx, f32-fused.onnx, s8.onnx and s8-fused.onnx, unless they are there

The graph is the one that PyTorch's exporter writes (MatMul + Add, LayerNormalization, erf GELU, a mask of large negative numbers), so that ONNX
Runtime's own transformer optimiser finds its fused operators: Attention, SkipLayerNormalization, EmbedLayerNormalization, BiasGelu. The 8-bit
models are quantize_dynamic's, per output channel; both ways to them are made (of the plain and of the fused graph), because neither always wins.
"""
import json
import logging
import os
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

OPSET = 17


def read_safetensors(path):
    with open(path, "rb") as f:
        length = int.from_bytes(f.read(8), "little")
        header, data = json.loads(f.read(length)), f.read()
    kinds = {"F32": np.float32, "I64": np.int64}
    return {name.removeprefix("bert."): np.frombuffer(data[t["data_offsets"][0]:t["data_offsets"][1]], kinds[t["dtype"]]).reshape(t["shape"])
            for name, t in header.items() if name != "__metadata__"}


class Graph:
    def __init__(self, weights):
        self.weights, self.nodes, self.initializers, self.made = weights, [], [], {}

    def constant(self, value, name=None):
        key = name or f"constant_{np.asarray(value).dtype}_{np.asarray(value).tolist()}"
        if key not in self.made:
            self.made[key] = key
            self.initializers.append(numpy_helper.from_array(np.asarray(value), key))
        return key

    def node(self, kind, *inputs, name, **attributes):
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name + "/" + kind, **attributes))
        return name

    def linear(self, x, prefix):
        w = self.constant(np.ascontiguousarray(self.weights[prefix + ".weight"].T), prefix + ".weight")
        b = self.constant(self.weights[prefix + ".bias"], prefix + ".bias")
        return self.node("Add", b, self.node("MatMul", x, w, name=prefix + "/product"), name=prefix + "/sum")

    def layer_norm(self, x, prefix, epsilon):
        return self.node("LayerNormalization", x, self.constant(self.weights[prefix + ".weight"], prefix + ".weight"),
                         self.constant(self.weights[prefix + ".bias"], prefix + ".bias"), name=prefix + "/normal", axis=-1, epsilon=epsilon)


def embeddings(g, epsilon):
    shape = g.node("Shape", "input_ids", name="ids/shape")
    length = g.node("Gather", shape, g.constant(np.int64(1)), name="ids/length", axis=0)
    end = g.node("Unsqueeze", length, g.constant(np.array([0], np.int64)), name="ids/end")
    all_positions = g.constant(np.arange(len(g.weights["embeddings.position_embeddings.weight"]), dtype=np.int64)[None], "position_ids")
    positions = g.node("Slice", all_positions, g.constant(np.array([0], np.int64)), end, g.constant(np.array([1], np.int64)), name="positions")
    parts = [g.node("Gather", g.constant(g.weights[f"embeddings.{what}_embeddings.weight"], what + "_embeddings"), ids, name=what + "/rows", axis=0)
             for what, ids in (("word", "input_ids"), ("token_type", "token_type_ids"), ("position", positions))]
    words_and_types = g.node("Add", parts[0], parts[1], name="embeddings/types")
    return g.layer_norm(g.node("Add", words_and_types, parts[2], name="embeddings/sum"), "embeddings.LayerNorm", epsilon)


def attention(g, x, mask, prefix, heads, size):
    split = g.constant(np.array([0, 0, heads, size], np.int64))
    def per_head(what, order):
        rows = g.node("Reshape", g.linear(x, f"{prefix}.self.{what}"), split, name=f"{prefix}/{what}/split")
        return g.node("Transpose", rows, name=f"{prefix}/{what}/heads", perm=order)
    q, k, v = per_head("query", [0, 2, 1, 3]), per_head("key", [0, 2, 3, 1]), per_head("value", [0, 2, 1, 3])
    scores = g.node("Div", g.node("MatMul", q, k, name=prefix + "/scores"), g.constant(np.float32(np.sqrt(size))), name=prefix + "/scaled")
    shares = g.node("Softmax", g.node("Add", scores, mask, name=prefix + "/masked"), name=prefix + "/shares", axis=-1)
    mixed = g.node("Transpose", g.node("MatMul", shares, v, name=prefix + "/mixed"), name=prefix + "/back", perm=[0, 2, 1, 3])
    joined = g.node("Reshape", mixed, g.constant(np.array([0, 0, heads * size], np.int64)), name=prefix + "/joined")
    return g.linear(joined, prefix + ".output.dense")


def gelu(g, x, prefix):
    erf = g.node("Erf", g.node("Div", x, g.constant(np.float32(np.sqrt(2))), name=prefix + "/over"), name=prefix + "/erf")
    one = g.node("Add", erf, g.constant(np.float32(1)), name=prefix + "/one")
    return g.node("Mul", g.node("Mul", x, one, name=prefix + "/twice"), g.constant(np.float32(0.5)), name=prefix + "/gelu")


def build(folder):
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as f:
        config = json.load(f)
    heads, hidden, epsilon = config["num_attention_heads"], config["hidden_size"], config["layer_norm_eps"]
    g = Graph(read_safetensors(os.path.join(folder, "model.safetensors")))
    wide = g.node("Unsqueeze", g.node("Unsqueeze", "attention_mask", g.constant(np.array([1], np.int64)), name="mask/1"),
                  g.constant(np.array([2], np.int64)), name="mask/2")
    inverse = g.node("Sub", g.constant(np.float32(1)), g.node("Cast", wide, name="mask/float", to=TensorProto.FLOAT), name="mask/inverse")
    mask = g.node("Mul", inverse, g.constant(np.float32(-10000)), name="mask/added")
    x = embeddings(g, epsilon)
    for i in range(config["num_hidden_layers"]):
        prefix = f"encoder.layer.{i}"
        mixed = attention(g, x, mask, prefix + ".attention", heads, hidden // heads)
        x = g.layer_norm(g.node("Add", mixed, x, name=prefix + "/residual1"), prefix + ".attention.output.LayerNorm", epsilon)
        inner = gelu(g, g.linear(x, prefix + ".intermediate.dense"), prefix)
        x = g.layer_norm(g.node("Add", g.linear(inner, prefix + ".output.dense"), x, name=prefix + "/residual2"), prefix + ".output.LayerNorm", epsilon)
    g.node("Identity", x, name="last_hidden_state")
    inputs = [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"]) for name in ("input_ids", "attention_mask", "token_type_ids")]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "tokens", hidden])
    graph = helper.make_graph(g.nodes, "bert", inputs, [output], g.initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
    onnx.checker.check_model(model)
    return model, heads, hidden


def make(folder, out):
    logging.getLogger().setLevel(logging.ERROR)
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.transformers import optimizer
    names = {name: os.path.join(out, name + ".onnx") for name in ("f32", "f32-fused", "s8", "s8-fused")}
    if all(os.path.exists(path) for path in names.values()):
        return
    os.makedirs(out, exist_ok=True)
    model, heads, hidden = build(folder)
    onnx.save(model, names["f32"] + ".part")
    fused = optimizer.optimize_model(names["f32"] + ".part", model_type="bert", num_heads=heads, hidden_size=hidden, opt_level=0)
    found = fused.get_fused_operator_statistics()
    layers = sum(n.name.endswith("/shares/Softmax") for n in model.graph.node)
    if found.get("Attention") != layers or found.get("SkipLayerNormalization", 0) < 2 * layers - 1 or found.get("BiasGelu") != layers:
        sys.exit(f"onnx_bert.py: ONNX Runtime's optimiser did not fuse all {layers} layers: {found}: the comparison would be unfair")
    fused.save_model_to_file(names["f32-fused"] + ".part")
    for kind in ("", "-fused"):
        quantize_dynamic(names["f32" + kind] + ".part", names["s8" + kind] + ".part", per_channel=True, weight_type=QuantType.QInt8,
                         extra_options={"DefaultTensorType": TensorProto.FLOAT})
    for path in names.values():
        os.replace(path + ".part", path)


if __name__ == "__main__":
    make(*sys.argv[1:3])
