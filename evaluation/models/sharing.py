"""Read-only links to a verdict, for people without an account."""

from django.db import models

from evaluation.models.runs import EvalRun
from labeling.models import User


class ShareLink(models.Model):
    """A secret address of one run's verdict page. Only the hash of the secret is kept; it ends at `expires_at`."""

    run = models.ForeignKey(EvalRun, on_delete=models.CASCADE, related_name="share_links")
    token_hash = models.CharField(max_length=64, unique=True)
    expires_at = models.DateTimeField()
    revoked_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField(auto_now_add=True)
    created_by = models.ForeignKey(User, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"link to {self.run} until {self.expires_at:%Y-%m-%d}"
