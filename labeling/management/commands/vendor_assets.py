"""manage.py vendor_assets: write the charts' JavaScript out of the Python package that carries it."""

from importlib import metadata
from pathlib import Path
from typing import Any

from django.conf import settings

from labeling.commands import VerbCommand


class Command(VerbCommand):
    help = "Write vega-embed's bundle under PREFLOOP_VAR/vendor, so that no page needs a CDN."
    requires_system_checks = []

    def run(self, **_: Any) -> dict[str, Any]:
        import vl_convert  # large: only here

        version = metadata.version("vl-convert-python")

        target = Path(settings.PREFLOOP_VAR) / "vendor" / "vega-embed.js"
        stamp = target.with_suffix(".version")
        if not (target.exists() and stamp.exists() and stamp.read_text() == version):
            target.parent.mkdir(parents=True, exist_ok=True)
            building = target.with_suffix(".building")
            building.write_text(
                vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"), encoding="utf-8"
            )
            building.replace(target)
            stamp.write_text(version)
        return {"path": str(target), "bytes": target.stat().st_size}
