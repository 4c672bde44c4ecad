# One image for web and workers; compose.yaml says which command each runs.
FROM python:3.11-slim-bookworm
ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 DJANGO_SETTINGS_MODULE=config.settings.prod PREFLOOP_VAR=/var/lib/prefloop
WORKDIR /srv/prefloop
COPY pyproject.toml README.md LICENSE ./
COPY .ci/constraints.txt .ci/constraints.txt
RUN pip install -c .ci/constraints.txt torch==2.13.0 && pip install -c .ci/constraints.txt -e ".[train]"
COPY . .
RUN useradd --system --create-home prefloop && mkdir -p "$PREFLOOP_VAR" && chown prefloop "$PREFLOOP_VAR"
USER prefloop
VOLUME /var/lib/prefloop
EXPOSE 8000
CMD ["gunicorn", "config.wsgi", "--bind", "0.0.0.0:8000", "--workers", "2", "--threads", "8"]
