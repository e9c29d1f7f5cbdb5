"""What `ninja install` puts down is enough: programs are compiled with pkg-config against the installed files alone, shared and wholly static, and run.

usage: installed.py BUILD SOURCE VERSION        (ECREC_MODELS; CC, CXX)
"""
import glob
import os
import re
import shutil
import subprocess
import sys
import tempfile

BUILD, SOURCE, VERSION = sys.argv[1:4]
MODELS = os.environ.get("ECREC_MODELS") or os.path.expanduser("~/.cache/ecrec-models")
CC, CXX = os.environ.get("CC", "cc"), os.environ.get("CXX", "c++")


def run(*command, **environment):
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\nexit {done.returncode}\n{done.stdout}{done.stderr}")
    return done.stdout


if os.environ.get("ECREC_SANITIZED") == "1":
    print("skipped: a sanitized library is not one to install")
    sys.exit(77)
if not os.path.isdir(f"{MODELS}/all-MiniLM-L6-v2"):
    print("skipped: MiniLM is not there")
    sys.exit(77)
with tempfile.TemporaryDirectory() as work:
    run("meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", work + "/root")
    pc, = glob.glob(work + "/root/**/ecrec.pc", recursive=True)
    text = open(pc).read()
    prefix = re.search(r"^prefix=(.*)$", text, re.M)[1]
    with open(pc, "w") as f:  # as if it had been configured with this prefix
        f.write(text.replace(f"prefix={prefix}", f"prefix={work}/root{prefix}", 1))
    library = os.path.dirname(os.path.dirname(pc))
    where = {"PKG_CONFIG_PATH": os.path.dirname(pc)}
    assert run("pkg-config", "--modversion", "ecrec", **where).strip() == VERSION
    flags = run("pkg-config", "--cflags", "--libs", "ecrec", **where).split()
    static = run("pkg-config", "--static", "--cflags", "--libs", "ecrec", **where).split()
    assert not any(BUILD in f or SOURCE in f for f in static), static
    headers = {os.path.basename(h) for h in glob.glob(work + "/root/**/include/ecrec/*.h", recursive=True)}
    assert headers == {os.path.basename(h) for h in glob.glob(SOURCE + "/include/ecrec/*.h")}, headers
    dynamic = run("readelf", "-d", "--wide", library + "/libecrec.so")
    assert "Library soname: [libecrec.so.0]" in dynamic, dynamic
    versions = run("readelf", "-V", "--wide", library + "/libecrec.so")
    assert "ECREC_0" in versions, versions

    tool = f"{BUILD}/examples/ecrec"
    run(tool, "import", f"{MODELS}/all-MiniLM-L6-v2", "-o", work + "/m.ecrec")
    arguments = [work + "/m.ecrec", "warm clothes", "wool jumper", "garden hose"]
    run(CC, "-std=c11", "-Wall", "-Werror", f"{SOURCE}/examples/encode.c", *flags, "-o", work + "/shared")
    needed = run("readelf", "-d", work + "/shared")
    assert "libecrec.so.0" in needed
    shared = run(work + "/shared", *arguments, LD_LIBRARY_PATH=library)
    assert shared.splitlines()[0].endswith("wool jumper"), shared

    run(CC, "-std=c11", "-static", f"{SOURCE}/examples/encode.c", *static, "-o", work + "/static")
    assert "NEEDED" not in run("readelf", "-d", work + "/static"), "the static program needs a shared library"
    assert run(work + "/static", *arguments) == shared
    run(CC, "-std=c11", "-static", f"{SOURCE}/examples/learn.c", *static, "-o", work + "/learn")
    assert "the same bits" in run(work + "/learn")

    if shutil.which(CXX):
        with open(work + "/plus.cpp", "w") as f:
            f.write('#include <ecrec/ecrec.h>\n#include <cstdio>\nint main() { std::printf("%u\\n", ecrec_version()); }\n')
        run(CXX, "-Wall", "-Wextra", "-Wpedantic", "-Werror", work + "/plus.cpp", *flags, "-o", work + "/plus")
        assert run(work + "/plus", LD_LIBRARY_PATH=library).strip() == str(sum(int(v) * m for v, m in zip(VERSION.split("."), (1000000, 1000, 1))))
print("shared, static, C++")
