"""`make bench-search`: latency of a search over HTTP beside FAISS alone on the same vectors.

bench/search.c fills a data folder, `akin serve` serves it, bench/search.c asks.

    AKIN_BUILD=build/release python3 bench/search.py [--count N,N...] [--limit K] [--rounds R] [--json]
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "parts"))
from server import BUILD, Server, run_json  # noqa: E402

SEARCH = BUILD / "bench" / "search"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("--count", default="1000,10000,100000", help="images (1000,10000,100000)")
    parser.add_argument("--limit", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    results = []
    for count in options.count.split(","):
        with tempfile.TemporaryDirectory(prefix="akin-bench-") as folder:
            data = pathlib.Path(folder) / "data"
            subprocess.run([SEARCH, "--fill", data, count], check=True)
            with Server(data) as server:
                command = [SEARCH, "--ask", str(server.port), count, "--limit", str(options.limit),
                           "--rounds", str(options.rounds)]
                if options.json:
                    results.append(run_json(*command, "--json"))
                else:
                    subprocess.run(command, check=True)
    if options.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
