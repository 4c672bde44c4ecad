"""What labeling costs, beside Label Studio and beside a bare pair of Django views, on the same machine and items.

    python benchmarks/labeling.py [--quick] [--only loop,transfers,growth]

A labeler is one user with a token and one keep-alive connection, who gets an item, answers it, and goes on, without
thinking; 1, 8 and 32 of them work at once, in one or two client processes. Everybody is in both set-ups: on SQLite as
each product is started by default, and on PostgreSQL behind gunicorn with 2 workers of 16 threads. The phases of all
products take turns; figures are medians of the repeats, and ratios are ours to the peer's in the same run. Prints one
JSON object as its last line:

  throughput_vs_label_studio            judgments/s with 32 labelers, default set-up
  throughput_vs_label_studio_postgres   the same on PostgreSQL
  throughput_vs_bare_django             the lowest of all set-ups and numbers of labelers
  cpu_per_judgment_vs_label_studio      CPU time of the server's processes, the highest of all
  p95_vs_label_studio                   of a whole loop, the highest of all
  import_vs_label_studio                10,000 pairs, from sending the file to the last item stored, by a worker
  import_vs_bare_insert                 our verb against bulk inserts of the same rows
  export_vs_label_studio                rate of an export of 10,000 judgments: our verb, their API
  doubled                               items that two people judged where one judgment was wanted, by us
  claim_p95_growth_100k                 submit and claim with 100,000 items and 500,000 judgments over 1,000 and 5,000
  list_p95_growth_100k                  of all list pages, the highest
  export_memory_growth                  peak memory of exporting all judgments of the large project over the small one
  query_counts                          the numbers of statements at both sizes
  loop, transfers, growth               all figures behind these

Client processes use little: client_cpu in the details is the cores that they took beside the server. Phases in which
the host took more than 2 % of the machine away (steal) count only where a cell has no others.

Our loop comes in two forms, one request a judgment (`next: true`) and two; the headline takes the first, which our
page and API offer, the details show both. Label Studio and the bare pair need two.
"""

import argparse
import json
import multiprocessing
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[0] = str(ROOT)  # in the place of this folder, in which labeling.py would hide our package

from benchmarks import contest, growth, transfers  # noqa: E402

PARTS = ("loop", "transfers", "growth")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="1,000 items and short phases, once each")
    parser.add_argument("--only", default=",".join(PARTS), help=f"some of {', '.join(PARTS)}")
    options = parser.parse_args()
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(143)
    )  # so that servers and folders are put away then, too
    parts = options.only.split(",")
    if unknown := set(parts) - set(PARTS):
        parser.error(f"--only names {', '.join(sorted(unknown))}; choose of {', '.join(PARTS)}")
    var = ROOT / "var"
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="prefloop-bench-") as name:
        folder = Path(name)
        if "loop" in parts:
            result |= contest.run(var, folder / "loop", contest.QUICK if options.quick else contest.FULL)
        if "transfers" in parts:
            size = transfers.QUICK if options.quick else transfers.FULL
            result |= transfers.run(var, folder / "transfers", size)
        if "growth" in parts:
            result |= growth.run(folder / "growth", growth.QUICK if options.quick else growth.FULL)
    print(json.dumps(result))


if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    main()
