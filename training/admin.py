from django.contrib import admin
from django.http import HttpRequest

from training.models import BaseModel, Checkpoint, Measurement, Merge, StageChange

admin.site.register(BaseModel, list_display=["name", "location", "revision", "parameters", "licence"])


class Read(admin.ModelAdmin):  # type: ignore[type-arg]
    """Looked at here, changed by the verbs only: they keep who and when."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


admin.site.register(Checkpoint, Read, list_display=["name", "kind", "line", "stage", "base", "project"])
admin.site.register(
    StageChange, Read, list_display=["checkpoint", "before", "after", "created_by", "created_at"]
)
admin.site.register(Merge, Read, list_display=["adapter", "status", "made", "created_at"])
admin.site.register(Measurement, Read, list_display=["checkpoint", "status", "created_at"])
