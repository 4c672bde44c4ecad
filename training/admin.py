from django.contrib import admin

from training.models import BaseModel

admin.site.register(BaseModel, list_display=["name", "location", "parameters", "licence"])
