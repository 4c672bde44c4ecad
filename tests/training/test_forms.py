"""Emma puts a run together: the form shows what counts, keeps what she typed, and refuses beside the field."""

from typing import Any

import pytest
from django.urls import reverse

from labeling.models import Project, User
from tests import world
from tests.training.runs import judged_version, launched, root_checkpoint
from training.beginning import begun, begun_again, own_settings, rearranged
from training.fields import COUNTS_ONLY_WITH, settings_of
from training.forms import GROUPS, MAIN, RunForm
from training.models import TrainingRun
from training.specs import METHODS, PEAK_RATES, parse_spec


def shown(project: Project, **typed: Any) -> RunForm:
    return RunForm({"method": "sft", "adaptation": "lora", **typed}, project=project)


@pytest.mark.parametrize("method", METHODS)
def test_each_setting_of_a_method_that_leaves_a_choice_has_its_field_and_its_sentence(
    project: Project, method: str
) -> None:
    fields: dict[str, Any] = {}
    for adaptation in ("lora", "prompt" if (method, "prompt") in PEAK_RATES else "full"):
        fields |= shown(project, method=method, adaptation=adaptation).fields
    needing = {
        name
        for name in settings_of(method)
        if COUNTS_ONLY_WITH.get(name, ("", ""))[1] == ("prompt", "prefix")
    }
    missing = set(settings_of(method)) - set(fields)
    assert missing == (needing if (method, "prompt") not in PEAK_RATES else set())
    for name, info in settings_of(method).items():
        assert name in missing or (info.description or "") in fields[name].help_text


def test_what_only_another_adaptation_uses_is_not_shown(project: Project) -> None:
    full, lora, prompt = (shown(project, adaptation=each).fields for each in ("full", "lora", "prompt"))
    assert "lora_r" in lora
    assert "lora_r" not in full
    assert "virtual_tokens" in prompt
    assert "virtual_tokens" not in lora


def test_label_smoothing_is_shown_for_the_losses_that_use_it(project: Project) -> None:
    assert "label_smoothing" in shown(project, method="dpo", loss_type="robust").fields
    assert "label_smoothing" not in shown(project, method="dpo", loss_type="ipo").fields


def test_a_setting_with_a_single_value_is_no_question(project: Project) -> None:
    assert "sort_batches" not in shown(project, method="kto").fields
    assert "overlong" not in shown(project, method="reward").fields


def test_a_reward_model_is_not_offered_the_adaptations_that_it_refuses(project: Project) -> None:
    offered = dict(shown(project, method="reward").fields["adaptation"].choices)  # type: ignore[attr-defined]
    assert "lora" in offered
    assert "prompt" not in offered


@pytest.mark.parametrize(("method", "adaptation"), PEAK_RATES)
def test_the_learning_rate_names_its_default_and_the_source_of_it(
    project: Project, method: str, adaptation: str
) -> None:
    field = shown(project, method=method, adaptation=adaptation).fields["learning_rate"]
    rate = PEAK_RATES[method, adaptation]
    assert rate.source in field.help_text
    assert float(field.widget.attrs["placeholder"]) == rate.value


def test_every_named_setting_of_the_groups_is_one_of_a_method() -> None:
    known = {name for method in METHODS for name in settings_of(method)}
    assert {name for names in GROUPS.values() for name in names} <= known
    assert set(COUNTS_ONLY_WITH) <= known


def test_a_setting_that_no_group_names_is_shown_under_more(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(GROUPS, "Rows", ("overlong",))
    groups = dict(shown(project).groups())
    assert "seed" in [field.name for field in groups["More"]]


def test_only_versions_from_which_a_method_learns_are_offered(project: Project) -> None:
    pairs = judged_version(project)
    texts = world.frozen(project, kind="sft", test_share=0)
    assert set(shown(project).fields["dataset_version"].queryset) == {pairs, texts}  # type: ignore[attr-defined]
    assert list(shown(project, method="dpo").fields["dataset_version"].queryset) == [pairs]  # type: ignore[attr-defined]
    assert not shown(project, method="kto").has_versions


def test_a_small_base_begins_with_the_preset_for_small_models(project: Project) -> None:
    root = root_checkpoint()
    root.base.parameters = 1_000_000
    assert begun(method="dpo", start=root)["learning_rate"] == "0.0005"
    root.base.parameters = 7_000_000_000
    assert "learning_rate" not in begun(method="dpo", start=root)


def test_another_preset_takes_its_own_values_along_and_leaves_what_was_typed(project: Project) -> None:
    typed = {**begun(method="sft", start=None), "epochs": "3"}
    small = rearranged({**typed, "preset": "small"})
    assert (small["learning_rate"], small["epochs"], small["filled"]) == ("0.003", "3", "sft:small")
    card = rearranged({**small, "preset": "qlora"})
    assert "learning_rate" not in card
    assert (card["adaptation"], card["lora_r"], card["epochs"]) == ("qlora", "64", "3")
    own = rearranged({**small, "learning_rate": "0.01", "preset": "lora"})
    assert own["learning_rate"] == "0.01"


def test_another_adaptation_than_that_of_the_preset_drops_the_preset_and_its_rate(project: Project) -> None:
    small = rearranged({**begun(method="sft", start=None), "preset": "small"})
    full = rearranged({**small, "adaptation": "full"})
    assert (full["preset"], full.get("learning_rate")) == ("", None)


def test_another_method_takes_its_own_preset_of_the_same_name(project: Project) -> None:
    small = rearranged({**begun(method="sft", start=None), "preset": "small", "epochs": "2"})
    dpo = rearranged({**small, "method": "dpo"})
    assert (dpo["learning_rate"], dpo["filled"], dpo["epochs"]) == ("0.0005", "dpo:small", "2")
    reward = rearranged({**dpo, "method": "reward", "preset": "", "adaptation": "prompt"})
    assert reward["adaptation"] == "lora"


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"lora_r": 8},
        {"lora_r": 8, "lora_alpha": 32, "learning_rate": 1e-3},
        {"adaptation": "full", "learning_rate": 2e-4, "packing": "off"},
        {"adaptation": "prompt", "virtual_tokens": 5},
    ],
)
def test_a_run_again_is_filled_with_what_it_chose_and_gives_the_same_spec(values: dict[str, Any]) -> None:
    spec = parse_spec("sft", values)
    own = own_settings("sft", spec.model_dump())
    assert own == {"adaptation": spec.adaptation, **{k: v for k, v in values.items() if k != "adaptation"}}
    assert parse_spec("sft", own) == spec


def test_a_spec_that_is_refused_today_comes_back_whole() -> None:
    spec = {**parse_spec("sft", {}).model_dump(), "epochs": 1000.0}
    assert own_settings("sft", spec)["epochs"] == 1000.0


@pytest.fixture
def typed(project: Project) -> dict[str, Any]:
    version, root = judged_version(project), root_checkpoint()
    return {"method": "dpo", "dataset_version": version.pk, "start": root.pk, "adaptation": "lora"}


def address(project: Project) -> str:
    return reverse("training:new_run", args=[project.slug])


def test_the_page_has_every_main_field_and_the_others_under_advanced(
    project: Project, emma: User, typed: dict[str, Any]
) -> None:
    page = world.sign_in(emma).get(address(project) + "?method=dpo").text
    main, _, advanced = page.partition("Advanced settings")
    for name in MAIN:
        assert (f'name="{name}"' in main) == (name not in ("reward", "gold")), name
    assert 'name="beta"' in advanced
    assert 'name="beta"' not in main
    assert PEAK_RATES["dpo", "lora"].source in page


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        (
            {"learning_rate": "fast"},
            "learning_rate",
            "learning_rate was given as 'fast'; allowed is a number",
        ),
        ({"lora_r": "1.5"}, "lora_r", "lora_r was given as '1.5'; allowed is a whole number"),
        ({"beta": "-1"}, "beta", "beta was given as -1.0; allowed is a number above 0"),
    ],
)
def test_a_refusal_stands_at_its_field_and_what_was_typed_stays(
    project: Project,
    emma: User,
    typed: dict[str, Any],
    changes: dict[str, Any],
    field: str,
    words: str,
) -> None:
    page = world.sign_in(emma).post(address(project), {**typed, "epochs": "2", **changes})
    form = page.context["form"]
    assert page.status_code == 422
    assert list(form.errors) == [field]
    assert words in form.errors[field][0]
    assert (form["epochs"].value(), form[field].value()) == ("2", changes[field])
    assert TrainingRun.objects.count() == 0


def test_a_refusal_about_several_settings_stands_above_the_form_and_advanced_is_open(
    project: Project, emma: User, typed: dict[str, Any]
) -> None:
    page = world.sign_in(emma).post(address(project), {**typed, "loss_type": "robust"})
    assert "the loss robust needs label_smoothing above 0" in page.context["form"].non_field_errors()[0]
    assert '<details class="advanced" id="advanced" open>' in page.text


def test_choosing_another_method_brings_its_fields_and_starts_nothing(
    project: Project, emma: User, typed: dict[str, Any]
) -> None:
    client = world.sign_in(emma)
    sent = {**typed, "method": "sft", "epochs": "2", "name": "mine", "show": "1"}
    part = client.post(address(project), sent, headers={"hx-request": "true"})
    whole = client.post(address(project), sent)
    assert "<html" not in part.text
    assert 'name="packing"' in part.text
    assert 'name="beta"' not in part.text
    assert 'value="mine"' in part.text
    assert "<html" in whole.text
    assert (part.status_code, whole.status_code, TrainingRun.objects.count()) == (200, 200, 0)


def test_a_run_again_remembers_its_origin_and_its_page_tells_what_was_changed(
    project: Project, emma: User
) -> None:
    origin = launched(project, method="dpo", values={"beta": 0.3, "warmup": 0.2}, name="origin")
    client = world.sign_in(emma)
    page = client.get(address(project) + f"?again={origin.pk}")
    form = page.context["form"]
    sent = {field.name: field.value() for field in form if field.value() not in (None, "")}
    assert "Run again with changes" in page.text
    assert (sent["beta"], sent["warmup"]) == ("0.3", "0.2")
    made = client.post(address(project), {**sent, "beta": "0.5", "name": "changed"}, follow=True)
    run = TrainingRun.objects.get(name="changed")
    assert run.again_of == origin
    assert run.spec == {**origin.spec, "beta": 0.5}
    assert made.context["differences"] == [("Beta", ["0.3", "0.5"])]
    assert "Changed from" in made.text


def test_emma_cannot_repeat_a_run_of_another_project(project: Project, emma: User) -> None:
    run = launched(world.make_project("Another"))
    assert world.sign_in(emma).get(address(project) + f"?again={run.pk}").status_code == 404
    assert world.sign_in(emma).get(address(project) + "?again=x").status_code == 404


def test_the_page_of_a_version_leads_to_a_form_for_a_method_that_reads_it(
    project: Project, emma: User
) -> None:
    judged_version(project)
    root_checkpoint()
    version = world.frozen(project, kind="unpaired", test_share=0)
    form = world.sign_in(emma).get(address(project) + f"?dataset_version={version.pk}").context["form"]
    assert (form.shown_method, form["dataset_version"].value()) == ("kto", version.pk)
    assert begun_again(launched(project, version, method="kto"))["method"] == "kto"
