from django.contrib import admin
from django.contrib.auth.admin import UserAdmin

from labeling.models import Membership, Project, User

admin.site.register(User, UserAdmin)
admin.site.register(Membership, list_display=["user", "project", "role"], list_filter=["role"])
admin.site.register(Project, list_display=["name", "slug", "overlap", "lease_seconds"])
