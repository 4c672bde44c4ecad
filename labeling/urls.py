from django.urls import path

from labeling.views import datasets, imports, items, projects, rank

app_name = "labeling"
urlpatterns = [
    path("", projects.projects, name="projects"),
    path("account/tokens/", projects.tokens, name="tokens"),
    path("p/<slug:slug>/rank/", rank.rank, name="rank"),
    path("p/<slug:slug>/rank/<int:assignment_id>/", rank.submit_judgment, name="submit"),
    path("p/<slug:slug>/rank/undo/", rank.undo, name="undo"),
    path("p/<slug:slug>/rank/<int:assignment_id>/again/", rank.undo, name="again"),
    path("p/<slug:slug>/rank/<int:assignment_id>/ahead/", rank.ahead, name="ahead"),
    path("p/<slug:slug>/rank/<int:assignment_id>/later/", rank.later, name="later"),
    path("p/<slug:slug>/rank/<int:assignment_id>/beat/", rank.beat, name="beat"),
    path("p/<slug:slug>/rank/<int:assignment_id>/skip/", rank.skip_item, name="skip"),
    path("p/<slug:slug>/rank/<int:assignment_id>/draft/", rank.draft, name="draft"),
    path("p/<slug:slug>/items/", items.items, name="items"),
    path("p/<slug:slug>/items/<int:item_id>/", items.item, name="item"),
    path("p/<slug:slug>/imports/", imports.imports, name="imports"),
    path("p/<slug:slug>/imports/<int:import_id>/", imports.report, name="import"),
    path("p/<slug:slug>/people/", projects.people, name="people"),
    path("p/<slug:slug>/agreement/", projects.agreement, name="agreement"),
    path("p/<slug:slug>/datasets/", datasets.datasets, name="datasets"),
    path("p/<slug:slug>/datasets/<int:number>/", datasets.dataset, name="dataset"),
    path("p/<slug:slug>/datasets/<int:number>/export.<str:format>", datasets.export, name="export"),
]
