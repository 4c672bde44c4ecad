"""Every address: three apps, the API, accounts, health."""

from django.contrib import admin
from django.db import connection
from django.http import HttpRequest, JsonResponse
from django.urls import include, path
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from evaluation import api as evaluation_api
from labeling import api as labeling_api
from labeling import api_annotating
from labeling.capturing import api as capturing_api
from labeling.rag import api as rag_api
from labeling.workers import worker_alive
from training import api as training_api


def health(request: HttpRequest) -> JsonResponse:
    """For load balancers: the database answers, and whether a worker is alive."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse({"database": True, "worker": worker_alive()})


api = [
    *api_annotating.urlpatterns,
    path("schema/", SpectacularAPIView.as_view(), name="schema"),
    path("docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="schema-docs"),
    *labeling_api.urlpatterns,
    *capturing_api.urlpatterns,
    *rag_api.urlpatterns,
    *training_api.urlpatterns,
    *evaluation_api.urlpatterns,
]

urlpatterns = [
    path("api/v1/", include(api)),  # first: annotators' scripts call it thousands of times an hour
    path("", include("evaluation.urls")),
    path("", include("training.urls")),
    path("", include("labeling.urls")),
    path("account/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("health/", health, name="health"),
]
