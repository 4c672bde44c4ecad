"""Settings shared by every way of running. What a deployment may change is read through env."""

from pathlib import Path

import dj_database_url
from csp.constants import NONE, SELF

from config import env

ROOT = Path(__file__).resolve().parents[2]
PREFLOOP_VAR = Path(env.text("PREFLOOP_VAR", str(ROOT / "var"))).resolve()
PREFLOOP_DATA = env.text("PREFLOOP_DATA", str(ROOT.parent / "shared" / "data"))
PREFLOOP_OPEN_SIGNUP = env.flag("PREFLOOP_OPEN_SIGNUP", False)
PREFLOOP_MAX_UPLOAD_MB = env.number("PREFLOOP_MAX_UPLOAD_MB", 512)
PREFLOOP_CAPTURES_PER_MINUTE = env.number("PREFLOOP_CAPTURES_PER_MINUTE", 120_000)
PREFLOOP_HEARTBEAT_TIMEOUT_S = env.number("PREFLOOP_HEARTBEAT_TIMEOUT_S", 60)
PREFLOOP_MAX_ATTEMPTS = env.number("PREFLOOP_MAX_ATTEMPTS", 5)
PREFLOOP_CPU_SLOTS = env.number("PREFLOOP_CPU_SLOTS", 1)
PREFLOOP_CHATS = env.number("PREFLOOP_CHATS", 1)
PREFLOOP_CHAT_IDLE_S = env.number("PREFLOOP_CHAT_IDLE_S", 180)
PREFLOOP_CHAT_LENGTH = env.number("PREFLOOP_CHAT_LENGTH", 4096)
PREFLOOP_CHAT_DAYS = env.number("PREFLOOP_CHAT_DAYS", 90)
PREFLOOP_RETENTION_TEXTS = env.text("PREFLOOP_RETENTION_TEXTS", "")
PREFLOOP_TRACKERS = env.choices("PREFLOOP_TRACKERS", ("mlflow", "wandb"))
PREFLOOP_RECIPE_PYTHON = env.text("PREFLOOP_RECIPE_PYTHON", "")
OWN_VLLM = ROOT / ".venv-vllm" / "bin" / "vllm"  # of `make vllm`
PREFLOOP_VLLM = env.text("PREFLOOP_VLLM", str(OWN_VLLM) if OWN_VLLM.exists() else "")
PREFLOOP_SCORERS = env.text("PREFLOOP_SCORERS", "")
PREFLOOP_ENDPOINT_KEYS = env.named("PREFLOOP_ENDPOINT_KEY_")
PREFLOOP_URL = env.text("PREFLOOP_URL", "http://127.0.0.1:8000")
PREFLOOP_WEBHOOKS_INSIDE = env.flag("PREFLOOP_WEBHOOKS_INSIDE", False)
PREFLOOP_MODEL_FOLDERS = env.words("PREFLOOP_MODEL_FOLDERS", str(PREFLOOP_VAR / "models"))

DEBUG = False
SECRET_KEY = env.text("SECRET_KEY", "")
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "127.0.0.1,localhost")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS")
ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
AUTH_USER_MODEL = "labeling.User"
LANGUAGE_CODE = "en"
TIME_ZONE = env.text("TIME_ZONE", "UTC")
USE_TZ = True
USE_I18N = False

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "template_partials",
    "django_htmx",
    "allauth",
    "allauth.account",
    "rest_framework",
    "knox",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "csp",
    "labeling",
    "training",
    "evaluation",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [ROOT / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "labeling.pages.shell",
            ],
        },
    }
]

DATABASES = {
    "default": dj_database_url.parse(
        env.text("DATABASE_URL", f"sqlite:///{PREFLOOP_VAR / 'db.sqlite3'}"), conn_max_age=600
    )
}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # WAL lets pages read while a job writes; IMMEDIATE takes the write lock first, so that no transaction
    # fails half-way with "database is locked" when it upgrades from reading to writing.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 30,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-16000;",
    }
elif DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":
    # The statements of the annotators' loop (labeling.compiled) are planned once for each connection, not each time.
    DATABASES["default"]["OPTIONS"] = {
        "prepare_threshold": 0,
        "options": "-c plan_cache_mode=force_generic_plan",
        **DATABASES["default"].get("OPTIONS", {}),
    }

AUTHENTICATION_BACKENDS = [
    "django.contrib.auth.backends.ModelBackend",
    "allauth.account.auth_backends.AuthenticationBackend",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("MinimumLengthValidator", "CommonPasswordValidator", "NumericPasswordValidator")
]
LOGIN_REDIRECT_URL = "labeling:projects"
LOGIN_URL = "account_login"
ACCOUNT_LOGIN_METHODS = {"username", "email"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "email", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_ADAPTER = "config.accounts.AccountAdapter"
ACCOUNT_LOGOUT_REDIRECT_URL = "account_login"
EMAIL_HOST = env.text("EMAIL_HOST", "")
EMAIL_BACKEND = env.text("EMAIL_BACKEND", "") or (
    f"django.core.mail.backends.{'smtp' if EMAIL_HOST else 'console'}.EmailBackend"
)
EMAIL_HOST = EMAIL_HOST or "localhost"
EMAIL_PORT = env.number("EMAIL_PORT", 25)
EMAIL_HOST_USER = env.text("EMAIL_HOST_USER", "")
EMAIL_HOST_PASSWORD = env.text("EMAIL_HOST_PASSWORD", "")
EMAIL_USE_TLS = env.flag("EMAIL_USE_TLS", False)
EMAIL_TIMEOUT = 20
DEFAULT_FROM_EMAIL = env.text("DEFAULT_FROM_EMAIL", "prefloop@localhost")

STATIC_URL = "/static/"
STATIC_ROOT = PREFLOOP_VAR / "static"
for folder in (STATIC_ROOT, PREFLOOP_VAR / "vendor"):  # filled by collectstatic and vendor_assets
    folder.mkdir(parents=True, exist_ok=True)
STATICFILES_DIRS = [ROOT / "static", ("vendor", PREFLOOP_VAR / "vendor")]
MEDIA_ROOT = PREFLOOP_VAR / "media"
FILE_UPLOAD_TEMP_DIR = None
DATA_UPLOAD_MAX_MEMORY_SIZE = 5_000_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 5_000  # a case with 200 contexts, as many gold ones and a long conversation

CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "object-src": [NONE],
        "base-uri": [SELF],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "labeling.tokens.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_PAGINATION_CLASS": "rest_framework.pagination.PageNumberPagination",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "EXCEPTION_HANDLER": "labeling.api.refusals_as_sentences",
    "PAGE_SIZE": 50,
}
REST_KNOX = {"TOKEN_TTL": None, "AUTH_HEADER_PREFIX": "Token"}
SPECTACULAR_SETTINGS = {
    "TITLE": "Prefloop API",
    "DESCRIPTION": "The same verbs as the pages: import, next item, submit, dataset versions, runs, evaluations.",
    "VERSION": "1",
    "ENUM_NAME_OVERRIDES": {
        "StageEnum": "training.models.Checkpoint.Stage",
        "CheckpointKindEnum": "training.models.Checkpoint.Kind",
        "JudgeKindEnum": "evaluation.models.Judge.Kind",
        "PolicyStepKindEnum": "evaluation.models.PolicyStep.Kind",
        "PolicyStepStateEnum": "evaluation.models.PolicyStep.State",
        "CategoryStageEnum": "labeling.models.Stage",
        "StatusEnum": "labeling.lifecycle.Status",
        "CategoryPlanStatusEnum": "evaluation.models.CategoryPlan.Status",
        "InterventionScopeEnum": "evaluation.models.Intervention.Scope",
        "ChannelKindEnum": "evaluation.models.Channel.Kind",
        "CaptureStateEnum": "labeling.models.CaptureState",
        "DeliveryStateEnum": "evaluation.models.Delivery.State",
    },
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
}

CELERY_BROKER_URL = env.text("CELERY_BROKER_URL", "filesystem://localhost//")
CELERY_BROKER_TRANSPORT_OPTIONS = {}
if CELERY_BROKER_URL.startswith("filesystem"):
    BROKER_FOLDER = PREFLOOP_VAR / "broker"
    (BROKER_FOLDER / "control").mkdir(parents=True, exist_ok=True)
    CELERY_BROKER_TRANSPORT_OPTIONS = {
        "data_folder_in": str(BROKER_FOLDER),
        "data_folder_out": str(BROKER_FOLDER),
        "control_folder": str(BROKER_FOLDER / "control"),
    }
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_DEFAULT_QUEUE = "io"
CELERY_TASK_ROUTES = {
    "training.jobs.drive_run": {"queue": "train"},
    "training.jobs.choose_rows": {"queue": "train"},
    "training.jobs.check_run": {"queue": "train"},
    "training.jobs.merge_adapter": {"queue": "train"},
    "evaluation.jobs.drive_evaluation": {"queue": "eval"},
    "evaluation.jobs.check_judge": {"queue": "eval"},
    "evaluation.jobs.generate_candidates": {"queue": "eval"},
    "evaluation.jobs.serve_conversation": {"queue": "eval"},
    "evaluation.jobs.carry_study": {"queue": "eval"},
    "*.jobs.*": {"queue": "io"},
}
CELERY_BEAT_SCHEDULE = {
    "statistics": {"task": "labeling.jobs.refresh_statistics", "schedule": 1800.0},
    "sweep-labeling": {"task": "labeling.jobs.sweep", "schedule": 15.0},
    "sweep-training": {"task": "training.jobs.sweep", "schedule": 15.0},
    "sweep-evaluation": {"task": "evaluation.jobs.sweep", "schedule": 15.0},
    "retrain-policies": {"task": "evaluation.jobs.look_at_policies", "schedule": 60.0},
}
CELERY_BEAT_SCHEDULE_FILENAME = str(PREFLOOP_VAR / "beat-schedule")
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"plain": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {"httpx2": {"level": "WARNING"}},
    "root": {"handlers": ["console"], "level": env.text("LOG_LEVEL", "INFO")},
}
