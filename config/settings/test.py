"""Settings of the test suite: no network, fast hashes, state in a folder of its own."""

import tempfile
from pathlib import Path

from config import env
from config.settings.base import *
from config.settings.base import ROOT

SECRET_KEY = "tests-only"  # noqa: S105
PREFLOOP_VAR = Path(env.text("PREFLOOP_TEST_VAR", tempfile.gettempdir() + "/prefloop-tests"))
STATICFILES_DIRS = [ROOT / "static", ("vendor", ROOT / "var" / "vendor")]
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
PREFLOOP_RETENTION_TEXTS = str(ROOT / "tests" / "data" / "retention.jsonl")
CELERY_BROKER_URL = "memory://"
CELERY_BROKER_TRANSPORT_OPTIONS = {}
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = True
CACHES = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
ALLOWED_HOSTS = ["*"]
