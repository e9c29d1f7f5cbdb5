"""The roofline of this machine, measured now, with a point for each case of the benches that ran (products, matmul, search): an SVG.

roofline.py LIBBENCH_PEAK FOLDER      FOLDER holds the benches' JSON and gets roofline.svg and roofline.json
One thread. Roofs: the widest multiply-add from registers; bytes read in order from a second-level cache's worth, a third's, and memory."""
import ctypes
import json
import math
import os
import sys

import numpy as np

import ecrec

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 920, 560, 70, 40, 190, 60
COLOURS = {"f32": "#1f6fb4", "f16": "#6a4fb0", "bf16": "#8a6d1f", "s8": "#c2571a", "s4": "#3a8a3a"}
BYTES = {"f32": 4, "f16": 2, "bf16": 2, "s8": 1}


def measure(peak, level):
    for name in ("peak_f32", "peak_s8", "peak_bf16", "peak_read"):
        getattr(peak, name).restype = ctypes.c_double
    memory = np.ones(512 << 20, np.uint8)
    reads = {name: peak.peak_read(ctypes.c_void_p(memory.ctypes.data), ctypes.c_size_t(size), ctypes.c_uint32(level))
             for name, size in (("L2", 512 << 10), ("L3", 12 << 20), ("memory", 512 << 20))}
    return {"f32": peak.peak_f32(ctypes.c_uint32(level)), "s8": peak.peak_s8(ctypes.c_uint32(level)), "bf16": peak.peak_bf16(ctypes.c_uint32(level))}, reads


def points(folder):
    """(kind, what, operations a byte, 10^9 operations a second): bytes are those of the matrices or vectors, each once."""
    found = []
    for name in ("products", "matmul", "search"):
        path = os.path.join(folder, name + ".json")
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as f:
            told = json.load(f)
        for r in told["rows"] if isinstance(told, dict) else told:
            if name == "search":
                if r["threads"] == 1:
                    found.append((r["type"], f"search, {r['queries']} queries", 2 * r["queries"] / BYTES[r["type"]], r["gops"]))
                continue
            kind, m, n, k = next((t for t in ("s8", "bf16") if str(r.get("type", "")).startswith(t)), "f32"), r["m"], r["n"], r["k"]
            moved = BYTES[kind] * (m * k + n * k) + 4 * m * n
            found.append((kind, f"{name} {m} x {n} x {k}", 2 * m * n * k / moved, r.get("gops") or r.get("gflops")))
    return found


def draw(peaks, reads, marks, title):
    low, high = math.log10(0.25), math.log10(2000)
    top = math.log10(max([*peaks.values(), 10]) * 2)
    bottom = math.log10(max(1e-3, min([reads["memory"] * 0.25, *[p[3] for p in marks]]) * 0.5))
    x = lambda v: LEFT + (math.log10(v) - low) / (high - low) * (WIDTH - LEFT - RIGHT)
    y = lambda v: HEIGHT - BOTTOM - (math.log10(v) - bottom) / (top - bottom) * (HEIGHT - TOP - BOTTOM)
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">',
           f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/><text x="{LEFT}" y="22" font-size="14">{title}</text>']
    line = lambda a, b, style: out.append(f'<line x1="{x(a[0]):.1f}" y1="{y(a[1]):.1f}" x2="{x(b[0]):.1f}" y2="{y(b[1]):.1f}" {style}/>')
    text = lambda px, py, words, more="": out.append(f'<text x="{px:.1f}" y="{py:.1f}" {more}>{words}</text>')
    left, right, floor, ceiling = 10 ** low, 10 ** high, 10 ** bottom, 10 ** top
    for e in range(math.ceil(low), math.floor(high) + 1):
        line((10 ** e, floor), (10 ** e, ceiling), 'stroke="#e4e4e4"')
        text(x(10 ** e), HEIGHT - BOTTOM + 18, f"{10 ** e:g}", 'text-anchor="middle"')
    for e in range(math.ceil(bottom), math.floor(top) + 1):
        line((left, 10 ** e), (right, 10 ** e), 'stroke="#e4e4e4"')
        text(LEFT - 8, y(10 ** e) + 4, f"{10 ** e:g}", 'text-anchor="end"')
    text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 18, "operations a byte", 'text-anchor="middle"')
    out.append(f'<text transform="translate(20 {HEIGHT / 2}) rotate(-90)" text-anchor="middle">10^9 operations a second</text>')
    most = max(peaks.values())
    for name, rate in reads.items():
        end = min(right, most / rate)
        begin = max(left, floor / rate)
        line((begin, begin * rate), (end, end * rate), 'stroke="#555" stroke-dasharray="5 3"')
        turn = math.degrees(math.atan2(y(begin * rate) - y(end * rate), x(end) - x(begin)))
        out.append(f'<text transform="translate({x(begin):.1f} {y(begin * rate):.1f}) rotate({-turn:.1f})" dx="14" dy="-5" fill="#555">{name} {rate:.0f} GB/s</text>')
    for kind, rate in peaks.items():
        if rate > 0:
            line((max(left, rate / reads["L2"]), rate), (right, rate), f'stroke="{COLOURS[kind]}" stroke-width="2"')
            text(WIDTH - RIGHT + 6, y(rate) + 4, f"{kind} peak {rate:.0f}", f'fill="{COLOURS[kind]}"')
    for kind, what, intensity, rate in marks:
        out.append(f'<circle cx="{x(intensity):.1f}" cy="{y(rate):.1f}" r="4" fill="{COLOURS[kind]}" fill-opacity="0.65"><title>{kind} {what}: {rate:.1f}</title></circle>')
    return "\n".join(out + ["</svg>", ""])


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    peak, folder = ctypes.CDLL(os.path.abspath(sys.argv[1])), sys.argv[2]
    with ecrec.Context() as context:
        level, cpu = ecrec._lib.ecrec_context_cpu(context._h), context.cpu
    peaks, reads = measure(peak, level)
    if not peaks["f32"]:
        raise SystemExit("roofline.py: this build does not know how to measure this processor's peak")
    peaks = {kind: rate for kind, rate in peaks.items() if rate > 0}
    marks = points(folder)
    for name, rate in {**{f"{k} peak, GOP/s": v for k, v in peaks.items()}, **{f"{k} read, GB/s": v for k, v in reads.items()}}.items():
        print(f"{name:20} {rate:8.1f}")
    for kind, what, intensity, rate in marks:
        roof = min(peaks.get(kind, peaks["f32"]), intensity * reads["memory"])
        print(f"{kind:4} {what:34} {intensity:8.1f} operations a byte {rate:8.1f} GOP/s, {100 * rate / peaks.get(kind, peaks['f32']):5.1f}% of peak, {100 * rate / roof:5.1f}% of the roof over memory")
    with open(os.path.join(folder, "roofline.svg"), "w", encoding="utf-8") as f:
        f.write(draw(peaks, reads, marks, "One thread: " + cpu.split(";")[0].split(":")[0].replace("&", "and").replace("<", "")))
    with open(os.path.join(folder, "roofline.json"), "w", encoding="utf-8") as f:
        json.dump({"bench": "roofline", "cpu": cpu, "peaks_gops": peaks, "reads_gb_per_second": reads,
                   "points": [{"type": k, "case": w, "operations_per_byte": i, "gops": r} for k, w, i, r in marks]}, f, indent=1)
    print(os.path.join(folder, "roofline.svg"))


if __name__ == "__main__":
    main()
