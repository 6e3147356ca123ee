"""The scenarios, each in a namespace of its own."""
import sys
import tempfile

from bed import Bed
from one_gateway import one_gateway
from streams import continued_streams
from two_gateways import two_gateways

for scenario in (one_gateway, two_gateways, continued_streams):
    if len(sys.argv) > 1 and sys.argv[1] not in scenario.__name__:
        continue
    print(f"--- {scenario.__name__}", flush=True)
    with tempfile.TemporaryDirectory() as temporary:
        bed = Bed(temporary)
        try:
            scenario(bed)
        finally:
            bed.close()
