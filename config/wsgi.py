"""WSGI entry point."""

import gc
import os

from django.core.wsgi import get_wsgi_application
from django.urls import get_resolver

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings.dev")
application = get_wsgi_application()

# A full collection stops every page for a tenth of a second and more. What all pages import is there from the start and
# stays, so that none has to walk through it; and there are ten times fewer of them.
get_resolver().url_patterns  # noqa: B018
gc.collect()
gc.freeze()
gc.set_threshold(700, 10, 100)
