"""Pictures against Pillow and the steps of the reference image processors over it, value by value.

    pillow.py PROGRAM [CASES [SEED]]      PROGRAM: prepare.c; default: 400 pictures of all shapes

Resizing must give Pillow's integers; after rescaling and normalising nothing may differ by more than 1e-6. Exit 77: Pillow or
NumPy is not installed.
"""
import subprocess
import sys

try:
    import numpy as np
    import PIL
    from PIL import Image
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)

PILLOW = int(PIL.__version__.split(".")[0])
FILTERS = [Image.Resampling.BOX, Image.Resampling.BILINEAR, Image.Resampling.HAMMING, Image.Resampling.BICUBIC, Image.Resampling.LANCZOS]


def center_crop(a, height, width):
    """transformers.image_transforms.center_crop, in its words: floor of the half, zeros around what is too small."""
    h, w = a.shape[:2]
    top, left = (h - height) // 2, (w - width) // 2
    if top >= 0 and left >= 0:
        return a[top:top + height, left:left + width]
    tall, wide = max(height, h), max(width, w)
    padded = np.zeros((tall, wide, 3), a.dtype)
    down, right = -((h - tall) // 2), -((w - wide) // 2)
    padded[down:down + h, right:right + w] = a
    top, left = top + down, left + right
    return padded[max(0, top):min(tall, top + height), max(0, left):min(wide, left + width)]


def reference(a, case):
    h, w = a.shape[:2]
    if case["resize"] == 1:
        size = (case["height"], case["width"])
    elif case["resize"] == 2:
        short, long = (w, h) if w <= h else (h, w)
        other = int(case["height"] * long / short)
        size = (other, case["height"]) if w <= h else (case["height"], other)
    else:
        size = (h, w)
    image, filter = Image.fromarray(a), FILTERS[case["filter"]]
    if PILLOW < 13 and h > size[0] and h - size[0] > 2 * (w - size[1]):  # the order of the passes since Pillow 13
        image = image.resize((w, size[0]), filter)
    a = np.asarray(image.resize((size[1], size[0]), filter)) if size != (h, w) else a
    if case["crop"]:
        a = center_crop(a, case["crop_height"], case["crop_width"])
    a = (a.astype(np.float64) * case["rescale"]).astype(np.float32)
    a = (a - np.array(case["mean"], np.float32)) / np.array(case["std"], np.float32)
    return a.transpose(2, 0, 1)


def picture(random, h, w):
    kind = random.integers(5)
    if kind == 0:
        return random.integers(0, 256, (h, w, 3), np.uint8)
    if kind == 1:  # hard edges: overshoot must be clipped
        return (random.integers(0, 2, (h, w, 3)) * 255).astype(np.uint8)
    if kind == 2:
        return np.full((h, w, 3), random.integers(0, 256, 3), np.uint8)
    y, x = np.mgrid[0:h, 0:w]
    a = np.stack([np.sin(x / 7 + y / 5), np.cos(x / 23), np.sin(y / 11 + x * y / 997)], -1)
    return np.clip(127.5 + 150 * a + random.normal(0, 12, a.shape), 0, 255).astype(np.uint8)


def cases(random, count):
    def edge():
        return int(random.choice([random.integers(1, 9), random.integers(9, 120), random.integers(120, 700)]))
    for i in range(count):
        case = {"resize": int(random.integers(0, 3)), "filter": int(random.choice([1, 3, 1, 3, 0, 2, 4])), "height": edge() % 260 + 1, "width": edge() % 260 + 1,
                "crop": int(random.integers(0, 2)), "crop_height": edge() % 260 + 1, "crop_width": edge() % 260 + 1, "rescale": 1 / 255,
                "mean": [.48145466, .4578275, .40821073], "std": [.26862954, .26130258, .27577711]}
        h, w = edge(), edge()
        if i % 10 == 0:
            case["mean"], case["std"], case["rescale"] = [0., 0., 0.], [1., 1., 1.], 1.  # the integers themselves
        if case["resize"] == 2:
            case["width"] = case["height"]
            if max(h, w) * case["height"] / min(h, w) > 20000:  # Pillow makes the whole strip
                h = w
            case["crop"] = 1
        if not case["crop"]:
            out = (h, w) if case["resize"] == 0 else (case["height"], case["width"])
        else:
            out = (case["crop_height"], case["crop_width"])
        case["out"] = out
        yield case, picture(random, h, w), int(random.choice([0, 0, 1, 64]))


def main():
    program, count, seed = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 400, int(sys.argv[3]) if len(sys.argv) > 3 else 1
    random = np.random.default_rng(seed)
    worst, integers, done = 0., 0, 0
    for case, a, extra in cases(random, count):
        h, w = a.shape[:2]
        stride = 3 * w + extra
        rows = random.integers(0, 256, (h, stride), np.uint8)
        rows[:, :3 * w] = a.reshape(h, 3 * w)
        head = [case[k] for k in ("resize", "filter", "height", "width", "crop", "crop_height", "crop_width")] + [*case["out"], repr(case["rescale"]),
                *case["mean"], *case["std"], h, w, stride]
        got = subprocess.run([program], input=" ".join(map(str, head)).encode() + b"\n" + rows.tobytes(), stdout=subprocess.PIPE, check=True).stdout
        got = np.frombuffer(got, np.float32).reshape(3, *case["out"])
        wanted = reference(a, case)
        assert got.shape == wanted.shape, (case, got.shape, wanted.shape)
        difference = float(np.abs(got - wanted).max())
        tolerance = 0 if case["rescale"] == 1 else 1e-6
        if difference > tolerance:
            sys.exit(f"{case}, picture {h} x {w}: differs by {difference}")
        worst, integers, done = max(worst, difference), integers + (case["rescale"] == 1), done + 1
    print(f"{done} pictures as Pillow makes them ({integers} compared as integers), worst difference {worst:g}")


if __name__ == "__main__":
    main()
