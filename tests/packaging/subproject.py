"""A project of two files that has libecrec as a meson subproject: configured, built, run. With --fallback also the dependencies come
from subprojects/, as on a machine without them (needs their tarballs in subprojects/packagecache, or the network).

usage: subproject.py SOURCE [--fallback]
"""
import os
import shutil
import subprocess
import sys
import tempfile

SOURCE, fallback = sys.argv[1], "--fallback" in sys.argv[2:]
MESON = """project('shop', 'c', default_options : ['c_std=c11', 'warning_level=3', 'werror=true'])
ecrec_dep = dependency('ecrec', fallback : ['ecrec', 'ecrec_dep'], default_options : ['tests=false', 'tool=disabled', 'default_library=static'])
executable('shop', 'shop.c', dependencies : ecrec_dep)
"""


def run(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nexit {done.returncode}\n{done.stdout[-6000:]}")
    return done.stdout


with tempfile.TemporaryDirectory() as work:
    os.chdir(work)
    with open("meson.build", "w") as f:
        f.write(MESON)
    shutil.copy(f"{SOURCE}/examples/learn.c", "shop.c")
    os.makedirs("subprojects/ecrec")
    for name in ("include", "lib", "examples", "subprojects", "meson.build", "meson_options.txt"):
        path = os.path.join(SOURCE, name)
        if os.path.isdir(path):
            shutil.copytree(path, f"subprojects/ecrec/{name}", ignore=None if name != "subprojects" else
                            lambda folder, names: [n for n in names if os.path.isdir(os.path.join(folder, n)) and folder == path and n != "packagefiles"])
        elif os.path.exists(path):
            shutil.copy(path, "subprojects/ecrec")
    if os.path.isdir(f"{SOURCE}/subprojects/packagecache"):  # meson looks for archives in the outer project's
        shutil.copytree(f"{SOURCE}/subprojects/packagecache", "subprojects/packagecache")
    log = run("meson", "setup", "build", "--buildtype=debug", *(["--wrap-mode=forcefallback", "-Decrec:blis=disabled"] if fallback else []))
    run("ninja", "-C", "build")
    out = run("build/shop")
    assert "the same bits as at first" in out, out
    linked = run("readelf", "-d", "build/shop")
    assert "libecrec" not in linked, "the static library was asked for"
    if fallback:
        assert not any(name in linked for name in ("utf8proc", "zstd", "xxhash")), linked
        print("\n".join(line for line in log.splitlines() if "ubproject" in line and "YES" in line))
print("a subproject of two files works" + (", its dependencies from subprojects/" if fallback else ""))
