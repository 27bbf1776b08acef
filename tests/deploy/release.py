"""What a release consists of.

    python3 tests/deploy/release.py FOLDER

FOLDER is what `deploy/release.sh` has built. The program in the archive is run, and the two lists of its
dependencies, inside it and beside it, are held against each other and against Cargo.lock.
"""

import hashlib
import json
import re
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import traceback
import zlib
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = Path(sys.argv[1]).resolve()
# With the page inside.
PROGRAM_LIMIT = 15 * 1000 * 1000

manifest = tomllib.loads((ROOT / "Cargo.toml").read_text())
version = manifest["package"]["version"]
lock = tomllib.loads((ROOT / "Cargo.lock").read_text())
locked = {(package["name"], package["version"]) for package in lock["package"]}
(archive,) = FOLDER.glob(f"rasta-stream-{version}-*.tar.gz")
name = archive.name.removesuffix(".tar.gz")
unpacked = tempfile.TemporaryDirectory()
with tarfile.open(archive) as tar:
    members = tar.getmembers()
    tar.extractall(unpacked.name, filter="data")
program = Path(unpacked.name) / name / "rasta-stream"


def sections():
    """The names of the program's sections."""
    command = ["readelf", "--section-headers", "--wide", program]
    table = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout
    return set(re.findall(r"^ *\[ *\d+\] (\S+)", table, re.MULTILINE))


def embedded():
    """The packages that the program says it is made of, each with its version."""
    with tempfile.NamedTemporaryFile() as out:
        command = ["objcopy", "--dump-section", f".dep-v0={out.name}", program, "/dev/null"]
        subprocess.run(command, check=True)
        packages = json.loads(zlib.decompress(Path(out.name).read_bytes()))["packages"]
    return {(package["name"], package["version"]) for package in packages}


def listed():
    """The same of the list beside the program."""
    (sbom,) = FOLDER.glob("*.cdx.json")
    return json.loads(sbom.read_text())


def the_checksums_are_those_of_all_files():
    sums = dict(reversed(line.split("  ")) for line in (FOLDER / "SHA256SUMS").read_text().splitlines())
    files = {path.name for path in FOLDER.iterdir()} - {"SHA256SUMS"}
    assert set(sums) == files, sums
    for file, checksum in sums.items():
        assert hashlib.sha256((FOLDER / file).read_bytes()).hexdigest() == checksum, file


def the_archive_has_the_program_and_what_belongs_to_it():
    files = {member.name.removeprefix(f"{name}/") for member in members if member.isfile()}
    documents = {"README.md", "CHANGELOG.md", "LICENSE", "LICENSE-APACHE", "LICENSE-MIT", ".env.example"}
    assert files == documents | {"rasta-stream"}, files
    assert all((member.uid, member.gid) == (0, 0) for member in members)


def the_program_runs_and_says_its_version():
    said = subprocess.run([program, "--version"], check=True, stdout=subprocess.PIPE, text=True).stdout
    assert said.split()[:2] == ["rasta-stream", version], said


def the_program_is_small_and_has_no_symbols():
    assert program.stat().st_size <= PROGRAM_LIMIT, program.stat().st_size
    assert ".text" in sections() and ".symtab" not in sections(), sections()


def the_program_carries_the_list_of_its_dependencies():
    inside = embedded()
    assert inside <= locked, inside - locked
    names = {package for package, _ in inside}
    assert set(manifest["dependencies"]) <= names, set(manifest["dependencies"]) - names
    # Macros that run at build time need the others.
    development = {"divan", "fantoccini", "loom", "proptest"}
    assert development <= set(manifest["dev-dependencies"])
    assert not development & names, development & names


def the_list_beside_the_program_is_the_same():
    sbom = listed()
    assert (sbom["bomFormat"], sbom["specVersion"]) == ("CycloneDX", "1.5")
    root = sbom["metadata"]["component"]
    assert (root["name"], root["version"]) == ("rasta-stream", version)
    components = {(component["name"], component["version"]) for component in sbom["components"]}
    inside = embedded() - {("rasta-stream", version)}
    assert inside <= components, inside - components
    assert components <= locked, components - locked
    for component in sbom["components"]:
        assert component["licenses"] and component["purl"].startswith("pkg:cargo/"), component["name"]


def nothing_tells_where_it_was_built():
    (sbom,) = FOLDER.glob("*.cdx.json")
    assert str(ROOT) not in sbom.read_text()


CHECKS = [
    the_checksums_are_those_of_all_files,
    the_archive_has_the_program_and_what_belongs_to_it,
    the_program_runs_and_says_its_version,
    the_program_is_small_and_has_no_symbols,
    the_program_carries_the_list_of_its_dependencies,
    the_list_beside_the_program_is_the_same,
    nothing_tells_where_it_was_built,
]

failed = 0
for check in CHECKS:
    title = check.__name__.replace("_", " ")
    try:
        check()
        print("ok:", title)
    except Exception:  # A check that stumbles has failed; the others still tell what they find.
        failed += 1
        print("FAILED:", title)
        traceback.print_exc(file=sys.stdout)
sys.exit(failed > 0)
