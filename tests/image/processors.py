"""Imported image processors against the reference ones, through the library and the tool.

    processors.py ECREC LIBECREC.so

The tiny ViT and CLIP towers of ECREC_DATA/reference/tiny get preprocessor_config.json files in new and old spellings. Values:
ecrec_prepare_images against transformers' processor where that is installed, else against its steps over Pillow (pillow.py):
within 1/255 of an 8 bit step after normalising (it is 1e-6). Vectors: `ecrec encode --images` of PNG and JPEG files against
`ecrec encode --pixels` of the reference's values: cosine above 0.999 is asked, 0.999999 is held to. Exit 77: something is not there.
"""
import ctypes
import json
import os
import shutil
import subprocess
import sys
import tempfile

try:
    import numpy as np
    from PIL import Image
except ImportError as e:
    print(f"skipped: {e}")
    sys.exit(77)
from pillow import picture, reference

tool, library = sys.argv[1:3]
tiny = os.path.join(os.environ.get("ECREC_DATA", ""), "reference", "tiny")
if not os.path.exists(tiny):
    print(f"skipped: {tiny} is not there")
    sys.exit(77)
os.environ["TRANSFORMERS_VERBOSITY"] = "error"
try:
    import transformers
except ImportError:
    transformers = None

E = 24  # pixels that both towers take
CLIP = {"crop": 1, "mean": [.48145466, .4578275, .40821073], "std": [.26862954, .26130258, .27577711]}
HALF = {"mean": [.5] * 3, "std": [.5] * 3}
# a folder, its file, what that means in pillow.py's words
CASES = [
    ("clip-vision", {"image_processor_type": "CLIPImageProcessor", "size": {"shortest_edge": E}, "crop_size": {"height": E, "width": E}}, {"resize": 2, "filter": 3, **CLIP}),
    ("clip-vision", {"feature_extractor_type": "CLIPFeatureExtractor", "size": E, "crop_size": E, "resample": 3, "do_center_crop": True, "do_normalize": True,
                     "do_resize": True, "image_mean": CLIP["mean"], "image_std": CLIP["std"]}, {"resize": 2, "filter": 3, **CLIP}),
    ("clip-vision", {"image_processor_type": "CLIPImageProcessorFast", "size": {"shortest_edge": 17}, "crop_size": E, "resample": 2}, {"resize": 2, "height": 17, "filter": 1, **CLIP}),
    ("clip-vision", {"image_processor_type": "CLIPImageProcessor", "size": {"height": E, "width": E}, "do_center_crop": False, "do_normalize": False},
     {"resize": 1, "filter": 3, "mean": [0.] * 3, "std": [1.] * 3}),
    ("vit", {"image_processor_type": "ViTImageProcessor", "size": {"height": E, "width": E}}, {"resize": 1, "filter": 1, **HALF}),
    ("vit", {"feature_extractor_type": "ViTFeatureExtractor", "size": E, "resample": 2, "image_mean": [.485, .456, .406], "image_std": [.229, .224, .225]},
     {"resize": 1, "filter": 1, "mean": [.485, .456, .406], "std": [.229, .224, .225]}),
    ("vit", {"image_processor_type": "ViTImageProcessor", "size": {"height": E, "width": E}, "do_rescale": False, "resample": 3}, {"resize": 1, "filter": 3, "rescale": 1., **HALF}),
    ("vit", {"image_processor_type": "ViTImageProcessor", "size": {"height": E, "width": E}, "resample": 1, "rescale_factor": 0.00784313725490196},
     {"resize": 1, "filter": 4, "rescale": 0.00784313725490196, **HALF}),
    ("vit", {"image_processor_type": "BitImageProcessor", "size": {"shortest_edge": 30}, "crop_size": {"height": E, "width": E}}, {"resize": 2, "height": 30, "filter": 3, **CLIP}),
]


def pictures(folder, random):
    """Files of the kinds that people have; their RGB as Pillow reads it."""
    shapes = [(40, 60), (200, 90), (33, 33), (9, 700), (24, 24), (480, 640), (300, 20)]
    files = []
    for i, (h, w) in enumerate(shapes):
        image = Image.fromarray(picture(random, h, w))
        for kind, changed in (("rgb.png", image), ("palette.png", image.quantize(64)), ("grey.png", image.convert("L")), ("alpha.png", image.convert("RGBA")),
                              ("colour.jpg", image), ("grey.jpg", image.convert("L"))):
            path = os.path.join(folder, f"{i}-{kind}")
            changed.save(path, **({"quality": 90} if kind.endswith("jpg") else {}))
            files.append(path)
    return files, [np.asarray(Image.open(path).convert("RGB")) for path in files]


def pointers(kind, values):
    return (kind * len(values))(*values)


def prepared(lib, context, folder, arrays):
    """ecrec_prepare_images over ctypes."""
    message = ctypes.create_string_buffer(520)
    ctypes.memset(message, 0, 520)
    message[0:4] = (4 + 4 + 8 + 8 + 488).to_bytes(4, "little")
    model, session = ctypes.c_void_p(), ctypes.c_void_p()

    def call(f, *arguments):
        if f(*arguments, message) != 0:
            sys.exit(f"{folder}: {message.raw[24:].split(bytes(1))[0].decode()}")
    call(lib.ecrec_model_import, context, folder.encode(), None, ctypes.byref(model), None)
    call(lib.ecrec_session_create, model, None, ctypes.byref(session))
    out = np.empty((len(arrays), 3, E, E), np.float32)
    arrays = [np.ascontiguousarray(a) for a in arrays]
    call(lib.ecrec_prepare_images, model, session, pointers(ctypes.c_void_p, [a.ctypes.data for a in arrays]), pointers(ctypes.c_uint32, [a.shape[0] for a in arrays]),
         pointers(ctypes.c_uint32, [a.shape[1] for a in arrays]), None, ctypes.c_size_t(len(arrays)), ctypes.c_void_p(out.ctypes.data), ctypes.c_size_t(out.size))
    lib.ecrec_session_release(session)
    lib.ecrec_model_release(model)
    return out


def by_reference(config, words, arrays):
    words = {"height": E, "width": E, "crop": 0, "crop_height": E, "crop_width": E, "rescale": 1 / 255, **words}
    steps = np.stack([reference(a, words) for a in arrays])
    name = config.get("image_processor_type", config.get("feature_extractor_type")).replace("FeatureExtractor", "ImageProcessor").replace("Fast", "") + "Pil"
    if transformers is None or not hasattr(transformers, name):
        return steps, "its steps over Pillow"
    processor = getattr(transformers, name)(**{k: v for k, v in config.items() if not k.endswith("_type")})
    theirs = np.concatenate([processor(Image.fromarray(a), return_tensors="np")["pixel_values"] for a in arrays])
    assert np.abs(theirs - steps).max() < 1e-5, "the steps are not the processor's"
    return theirs, f"transformers {transformers.__version__}"


def run(*arguments):
    subprocess.run([tool, *arguments], check=True, stdout=subprocess.DEVNULL)


def main():
    lib, context, worst, least, by = ctypes.CDLL(library), ctypes.c_void_p(), 0., 1., ""
    assert lib.ecrec_context_create(None, ctypes.byref(context), None) == 0
    with tempfile.TemporaryDirectory() as work:
        files, arrays = pictures(work, np.random.default_rng(3))
        with open(os.path.join(work, "list.txt"), "w", encoding="utf-8") as f:
            f.write("\n".join(files) + "\n")
        for i, (name, config, words) in enumerate(CASES):
            folder, model = os.path.join(work, str(i)), os.path.join(work, f"{i}.ecrec")
            os.mkdir(folder)
            for file in ("config.json", "model.safetensors"):
                shutil.copyfile(os.path.join(tiny, name, file), os.path.join(folder, file))
            with open(os.path.join(folder, "preprocessor_config.json"), "w", encoding="utf-8") as f:
                json.dump(config, f)
            wanted, by = by_reference(config, words, arrays)
            got = prepared(lib, context, folder, arrays)
            step = words.get("rescale", 1 / 255) / min(words["std"])  # of one 8 bit level, after normalising
            difference = float(np.abs(got - wanted).max())
            assert difference <= 1e-2 * step, (config, difference)
            worst = max(worst, difference / step)
            np.save(os.path.join(work, "pixels.npy"), wanted.astype(np.float32))
            run("import", folder, "-o", model)
            run("encode", model, "--pixels", os.path.join(work, "pixels.npy"), "-o", os.path.join(work, "a.npy"))
            run("encode", model, "--images", os.path.join(work, "list.txt"), "-o", os.path.join(work, "b.npy"))
            run("encode", model, "--images", files[0], "-o", os.path.join(work, "c.npy"))
            a, b, c = (np.load(os.path.join(work, x)).astype(np.float64) for x in ("a.npy", "b.npy", "c.npy"))
            assert a.shape == b.shape and np.array_equal(b[:1], c)
            cosine = float(((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)).min())
            assert cosine > 0.999999, (config, cosine)
            least = min(least, cosine)
        bad = os.path.join(work, "bad.png")
        with open(files[0], "rb") as f, open(bad, "wb") as out:
            out.write(f.read()[:200])
        for path in (bad, os.path.join(work, "list.txt"), os.path.join(work, "nothing.jpg")):
            with open(os.path.join(work, "one.txt"), "w", encoding="utf-8") as f:
                f.write(path + "\n")
            r = subprocess.run([tool, "encode", model, "--images", os.path.join(work, "one.txt")], capture_output=True, encoding="utf-8")
            assert r.returncode == 1 and path in r.stderr, (path, r)
    lib.ecrec_context_release(context)
    print(f"{len(CASES)} processors x {len(files)} pictures against {by}: values differ by {worst:.2g} of an 8 bit level at most, cosine {least:.9f} at least")


main()
