"""Addresses of the playground; evaluation.urls takes them in."""

from django.urls import path

from evaluation.views import playground

PLAYGROUND = "p/<slug:slug>/playground/"
ONE = f"{PLAYGROUND}<int:conversation_id>/"
urlpatterns = [
    path(PLAYGROUND, playground.playground, name="playground"),
    path(ONE, playground.conversation, name="conversation"),
    path(f"{ONE}state/", playground.conversation_state, name="conversation_state"),
    path(f"{ONE}turns/<int:turn_id>/", playground.conversation_turn, name="conversation_turn"),
]
