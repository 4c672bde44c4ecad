from django.apps import AppConfig


class EvaluationConfig(AppConfig):
    name = "evaluation"
    verbose_name = "Evaluation"

    def ready(self) -> None:
        from evaluation import checks  # noqa: F401
        from evaluation.policies.standing import under_way
        from training.retraining import ELSEWHERE

        ELSEWHERE.append(under_way)
