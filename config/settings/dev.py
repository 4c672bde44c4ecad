"""One machine, one process group, no other service: what `make demo` runs."""

import secrets

from config.settings.base import *
from config.settings.base import PREFLOOP_VAR, SECRET_KEY

DEBUG = False
_key = PREFLOOP_VAR / "secret-key"
if not SECRET_KEY:
    PREFLOOP_VAR.mkdir(parents=True, exist_ok=True)
    if not _key.exists():
        _key.write_text(secrets.token_urlsafe(50))
        _key.chmod(0o600)
    SECRET_KEY = _key.read_text()
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
